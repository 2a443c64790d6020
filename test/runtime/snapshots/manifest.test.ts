import { expect, test } from "bun:test";
import { FORMAT_VERSION, readManifest, type SnapshotManifest, writeManifest } from "../../../src/runtime/snapshots/manifest.ts";
import { codeOf } from "../../support/code-of.ts";

const manifest: SnapshotManifest = {
  format: FORMAT_VERSION,
  logId: "log",
  topic: "orders.events",
  partition: 3,
  kind: { name: "orders", version: 7 },
  taken_ms: 1_764_000_000_000,
  positions: [
    {
      partition: 3,
      nextOffset: 4_711,
      firstOffset: 0,
      topicId: "topic-1",
      last: { offset: 4_710, checksum: 2_123_456_789, leaderEpoch: 2 },
    },
  ],
  digest: "0123456789abcdef",
  parts: [{ name: "000000", content: "rows", bytes: 100, bytes_raw: 1_000, sha256: "ab".repeat(32) }],
};

test("a manifest in which any one bit is another is refused, or says the same", async () => {
  const bytes = writeManifest(manifest);
  const told = [];
  for (let at = 0; at < bytes.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const damaged = Uint8Array.from(bytes);
      damaged[at] = (damaged[at] as number) ^ (1 << bit);
      const wrong = await codeOf(Promise.try(() => expect(readManifest("it", damaged)).toMatchObject(manifest)));
      if (wrong !== "ok" && wrong !== "SNAPSHOT_UNUSABLE") told.push(`bit ${bit} of byte ${at}`);
    }
  }
  expect(told).toEqual([]);
});

test("a manifest of a version that had no checksum of its own is read", () => {
  expect(readManifest("it", Buffer.from(JSON.stringify(manifest)))).toEqual(manifest);
});
