import { describe, expect, test } from "bun:test";
import { range, recordsOf, RunsRig } from "./runs-rig.ts";

const BLOCK_BYTES = 4_096;
const RECORD_BYTES = 80;
/** What a record takes when every block is full: its bytes, key and end. */
const LIVE_BYTES = RECORD_BYTES + 10;

/** Numbers in [0, 1), the same at each run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) / 0x100_0000;
  };
}

/** Of the keys, each change has this share. */
const CHANGED_SHARE = 1 / 200;

/** A rig of `count` keys in no order: all are added, and then random ones replaced. */
function updated(
  count: number,
  changes: number,
  onChange: (rig: RunsRig) => void,
): { readonly rig: RunsRig; readonly keys: number[] } {
  const random = seeded(7);
  const keys = range(0, count).map(() => Math.floor(random() * 2 ** 24) * 2 ** 24 + Math.floor(random() * 2 ** 24) * 2);
  const rig = new RunsRig();
  const record = "x".repeat(RECORD_BYTES);
  const size = count * CHANGED_SHARE;
  for (let n = 0; n < changes; n++) {
    const chosen =
      n * size < count
        ? keys.slice(n * size, (n + 1) * size)
        : range(0, size).map(() => keys[Math.floor(random() * count)] as number);
    rig.put(new Map(chosen.map((key) => [key, record])));
    onChange(rig);
  }
  return { rig, keys };
}

describe("runs of which random records are replaced", () => {
  const COUNT = 100_000;
  let runs_max = 0;
  let segments_max = 0;
  let written_before = 0;
  let written_max = 0;
  const { rig, keys } = updated(COUNT, 600, ({ file, counts }) => {
    runs_max = Math.max(runs_max, counts.runs);
    segments_max = Math.max(segments_max, counts.segments);
    written_max = Math.max(written_max, file.bytesWritten - written_before);
    written_before = file.bytesWritten;
  });

  test("take little more than what is live", () => {
    expect(rig.runs.blocks * BLOCK_BYTES).toBeLessThan(1.4 * COUNT * LIVE_BYTES);
    expect(rig.file.size).toBeLessThan(1.6 * COUNT * LIVE_BYTES);
  });

  test("are few, and so are their segments", () => {
    expect(runs_max).toBeLessThan(40);
    expect(segments_max).toBeLessThan(60);
  });

  test("are merged a little at each change", () => {
    expect(rig.file.bytesWritten).toBeLessThan(600 * COUNT * CHANGED_SHARE * LIVE_BYTES * 6);
    expect(written_max).toBeLessThan(0.25 * COUNT * LIVE_BYTES);
  });

  test("read about one block for a hundred keys that they do not have", () => {
    const absent = keys.slice(0, 20_000).map((key) => key + 1);
    const before = rig.file.blocksRead;
    for (const key of absent) expect(rig.find(key)).toBeUndefined();
    const runs = rig.counts.runs;
    expect(rig.file.blocksRead - before).toBeLessThan(0.015 * runs * absent.length);
    expect(rig.file.blocksRead - before).toBeGreaterThan(0);
  });

  test("read a block for a key that they have, and those of many keys at once", () => {
    const some = keys.slice(0, 2_000);
    let before = rig.file.blocksRead;
    for (const key of some) expect(rig.find(key)).toBeDefined();
    expect(rig.file.blocksRead - before).toBeLessThan(1.2 * some.length);
    before = rig.file.reads;
    expect(rig.findAll(keys).size).toBe(new Set(keys).size);
    expect(rig.file.reads - before).toBeLessThan(rig.runs.blocks / 3);
  });
});

test("runs of which nothing is replaced are merged less, if that is said", () => {
  const written = (replaced: number | undefined): number => {
    const rig = new RunsRig();
    for (let n = 0; n < 300; n++) rig.put(recordsOf(range(n, 90_000, 300), "x".repeat(RECORD_BYTES)), undefined, replaced);
    expect(rig.findAll(range(0, 90_000)).size).toBe(90_000);
    return rig.file.bytesWritten;
  };
  expect(written(0)).toBeLessThan(0.6 * written(undefined));
});

test("runs that are opened anew go on merging as they would have", () => {
  const written = (isOpenedAnew: boolean): number => {
    const rig = new RunsRig();
    for (let n = 0; n < 200; n++) {
      const isNew = n < 60;
      rig.put(recordsOf(isNew ? range(n, 60_000, 60) : range(0, 1_000), "x"), undefined, isNew ? 0 : undefined);
      if (isOpenedAnew) rig.open();
    }
    return rig.file.bytesWritten;
  };
  expect(written(true)).toBe(written(false));
});

test("filters take no more memory than they may, and records without one are found", () => {
  const rig = new RunsRig({ filter_bytes_max: 8_000 });
  const keys = range(0, 30_000, 3);
  for (let n = 0; n < 10; n++) rig.put(new Map(keys.filter((_, k) => k % 10 === n).map((key) => [key, `${key}`])), 1e9);
  const filters = rig.db.query<{ bytes: number; without: number }, []>(
    "SELECT sum(length(filter)) AS bytes, sum(filter IS NULL) AS without FROM test_segments",
  );
  expect(filters.get()?.bytes).toBeLessThanOrEqual(8_000);
  expect(filters.get()?.without).toBeGreaterThan(0);
  expect(rig.findAll(keys)).toEqual(new Map(keys.map((key) => [key, `${key}`])));
  expect(rig.findAll(keys.map((key) => key + 1)).size).toBe(0);
});
