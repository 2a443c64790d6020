import { describe, expect, test } from "bun:test";
import { misfit, superseded } from "../../../src/runtime/snapshots/choosing.ts";
import type { SnapshotManifest } from "../../../src/runtime/snapshots/manifest.ts";

const subject = { logId: "log", topic: "orders", partition: 3, kind: { name: "orders", version: 4 } };

function manifest(nextOffset: number, changed: Partial<SnapshotManifest> = {}): SnapshotManifest {
  const positions = [{ partition: 3, nextOffset, firstOffset: 0, topicId: "t1", last: undefined }];
  return { format: 1, ...subject, taken_ms: 0, positions, digest: undefined, parts: [], ...changed };
}

const ends = (startOffset: number, endOffset: number, topicId = "t1") => ({
  topicId,
  partitions: [0, 1, 2, 3].map(() => ({ startOffset, endOffset, stableOffset: endOffset, leaderEpoch: 0 })),
});

describe("a snapshot fits", () => {
  test.each([
    [5, 0, 9],
    [5, 5, 9],
    [9, 0, 9],
    // The log has lost its end. The partition halts once it is compared.
    [12, 0, 9],
  ])("that ends at %p of a log that has %p to %p", (nextOffset, startOffset, endOffset) => {
    expect(misfit(manifest(nextOffset), subject, ends(startOffset, endOffset))).toBeUndefined();
  });

  test("while the log does not say where the partition begins", () => {
    const partitions = [{ unavailable: "no leader" }, { unavailable: "no leader" }, { unavailable: "no leader" }];
    expect(misfit(manifest(5), subject, { topicId: "t1", partitions })).toBeUndefined();
  });
});

describe("a snapshot does not fit", () => {
  test.each([
    ["it ends at offset 5 of partition 3, and the log begins at offset 6", manifest(5), ends(6, 9)],
    ["it is of the topic that was deleted, t1, and not of t2", manifest(5), ends(0, 9, "t2")],
    ["it is of the log other, not log", manifest(5, { logId: "other" }), ends(0, 9)],
    ["it is of the topic others, not orders", manifest(5, { topic: "others" }), ends(0, 9)],
    ["it is of partition 2, not of partition 3", manifest(5, { partition: 2 }), ends(0, 9)],
    ["it holds orders in version 3, not orders in version 4", manifest(5, { kind: { name: "orders", version: 3 } }), ends(0, 9)],
    [
      "it has a position of partition 1",
      manifest(5, { positions: [{ partition: 1, nextOffset: 5, firstOffset: 0, topicId: "t1", last: undefined }] }),
      ends(0, 9),
    ],
  ])("as %s", (why, one, told) => {
    expect(misfit(one, subject, told)).toStartWith(why);
  });
});

describe("of the snapshots that are there", () => {
  const named = (reach: number, one: SnapshotManifest | undefined = manifest(reach)) => ({
    name: `${reach}`.padStart(4, "0"),
    manifest: one,
  });
  const names = (reaches: readonly number[]) => reaches.map((reach) => `${reach}`.padStart(4, "0"));

  test("the verified one and the next good ones before it are kept", () => {
    expect(
      superseded(
        manifest(50),
        [10, 20, 30, 40].map((reach) => named(reach)),
        3,
      ),
    ).toEqual(names([20, 10]));
    expect(
      superseded(
        manifest(50),
        [10, 20].map((reach) => named(reach)),
        3,
      ),
    ).toEqual([]);
    expect(
      superseded(
        manifest(50),
        [10, 20].map((reach) => named(reach)),
        1,
      ),
    ).toEqual(names([20, 10]));
  });

  test("one that cannot be read takes no good one's place, and goes with those that are older than all that are kept", () => {
    const all = [named(10), { name: "0020", manifest: undefined }, named(30), { name: "0040", manifest: undefined }];
    expect(superseded(manifest(50), all, 2)).toEqual(names([20, 10]));
  });

  test("none goes that is as far as the verified one or further, or of another topic of that name", () => {
    const old = manifest(20, { positions: [{ partition: 3, nextOffset: 20, firstOffset: 0, topicId: "t0", last: undefined }] });
    expect(superseded(manifest(50), [named(60), named(50), named(20, old)], 1)).toEqual([]);
  });
});
