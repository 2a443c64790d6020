import { describe, expect, test } from "bun:test";
import { range, recordsOf, RunsRig } from "./runs-rig.ts";

const ALL = 2 ** 40;

describe("a record", () => {
  test("is seen once its change is adopted, and by whoever opens the runs after the commit", () => {
    const rig = new RunsRig();
    const change = rig.begin(new Map([[123, "shipped"]]));
    change.write();
    rig.commit(change);
    expect(rig.find(123)).toBeUndefined();
    change.adopt();
    expect(rig.find(123)).toBe("shipped");
    rig.open();
    expect(rig.find(123)).toBe("shipped");
    expect(rig.find(122)).toBeUndefined();
  });

  test("is replaced by a newer one of its key", () => {
    const rig = new RunsRig();
    rig.put(
      new Map([
        [1, "new"],
        [2, "new"],
      ]),
      0,
    );
    rig.put(new Map([[2, "shipped"]]), 0);
    rig.put(new Map([[3, "new"]]), 0);
    const newest = new Map([
      [1, "new"],
      [2, "shipped"],
      [3, "new"],
    ]);
    expect(rig.findAll([1, 2, 3, 4])).toEqual(newest);
    expect(rig.scan()).toEqual(newest);
    for (const _ of [1, 2]) rig.put(new Map(), ALL);
    expect(rig.counts.runs).toBe(1);
    expect(rig.runs.records).toBe(3);
    expect(rig.scan()).toEqual(newest);
  });

  test.each([0, 1, 4_077, 4_078, 4_079, 8_174, 8_175, 100_000, 2_097_152])("may have %d bytes", (bytes) => {
    const rig = new RunsRig();
    const long = "x".repeat(bytes - 1 < 0 ? 0 : bytes - 1) + (bytes > 0 ? "." : "");
    const records = new Map([
      [6, "before"],
      [7, long],
      [9, "after"],
    ]);
    rig.put(records);
    for (const opened of [rig.runs, rig.open()]) {
      expect(opened.records).toBe(3);
      expect(rig.find(7)).toBe(long);
      expect(rig.findAll([5, 6, 7, 8, 9, 10])).toEqual(records);
      expect(rig.find(8)).toBeUndefined();
      expect(rig.scan()).toEqual(records);
      expect(rig.scan(7)).toEqual(new Map([[9, "after"]]));
    }
  });

  test("may have the least and the greatest key", () => {
    const rig = new RunsRig();
    const ends = new Map([
      [0, "least"],
      [Number.MAX_SAFE_INTEGER, "greatest"],
    ]);
    rig.put(ends);
    rig.open();
    expect(rig.scan()).toEqual(ends);
    expect(rig.findAll([...ends.keys(), 1])).toEqual(ends);
    expect(rig.find(-0)).toBe("least");
  });

  test("of more than 2 MiB is refused", () => {
    const change = new RunsRig().runs.change();
    expect(() => change.add(1, Buffer.alloc(2_097_153), 0, 2_097_153)).toThrow("more than 2097152");
  });
});

describe("a change", () => {
  test("that is dropped has not happened, and its blocks are used again", () => {
    const rig = new RunsRig();
    rig.put(recordsOf(range(0, 1_000), "kept"));
    const before = rig.runs.blocks;
    const change = rig.begin(recordsOf(range(500, 1_500), "dropped"));
    change.merge(ALL);
    change.write();
    change.drop();
    expect(rig.runs.blocks).toBe(before);
    expect(rig.scan()).toEqual(recordsOf(range(0, 1_000), "kept"));
    rig.put(recordsOf(range(500, 1_500), "newer"));
    expect(rig.file.size).toBeLessThanOrEqual(4_096 * 2 * before * 1.5);
  });

  test("may be recorded again after its transaction failed", () => {
    const rig = new RunsRig();
    const change = rig.begin(new Map([[1, "new"]]));
    change.write();
    const failing = rig.db.transaction(() => {
      change.record();
      throw new Error("disk full");
    });
    expect(() => failing()).toThrow("disk full");
    rig.commit(change);
    change.adopt();
    rig.open();
    expect(rig.find(1)).toBe("new");
  });

  test("whose write failed can only be dropped", () => {
    const rig = new RunsRig();
    const long = Buffer.alloc(300_000, "x");
    const change = rig.runs.change();
    rig.file.fault = () => {
      throw new Error("no space left on device");
    };
    expect(() => change.add(1, long, 0, long.length)).toThrow("no space");
    rig.file.fault = undefined;
    expect(() => change.add(2, long, 0, 1)).toThrow("failed");
    expect(() => change.write()).toThrow("failed");
    change.drop();
    rig.put(new Map([[1, "new"]]));
    expect(rig.scan()).toEqual(new Map([[1, "new"]]));
  });

  test("is the only one under way", () => {
    const rig = new RunsRig();
    const change = rig.runs.change();
    expect(() => rig.runs.change()).toThrow("under way");
    change.drop();
    rig.runs.change().drop();
  });

  test("takes ascending keys, all before it merges, and nothing once it is written", () => {
    const { runs } = new RunsRig();
    const bytes = Buffer.from("x");
    let change = runs.change();
    change.add(2, bytes, 0, 1);
    for (const key of [2, 1, Number.NaN, 2 ** 53, Infinity])
      expect(() => change.add(key, bytes, 0, 1)).toThrow("cannot be added");
    change.merge(0);
    expect(() => change.add(3, bytes, 0, 1)).toThrow("merging");
    expect(() => change.record()).toThrow("cannot be recorded");
    expect(() => change.adopt()).toThrow("cannot be adopted");
    change.write();
    expect(() => change.merge(1)).toThrow("cannot go on");
    change.drop();
    change = runs.change();
    change.write();
    expect(() => change.adopt()).toThrow("cannot be adopted");
  });
});

describe("a merge under way", () => {
  /** Newer records of the keys 0 to 100 above older ones of 0 to 300, merged up to a key. */
  const mergedUpTo = (key: number): RunsRig => {
    const rig = new RunsRig();
    rig.put(recordsOf(range(0, 301), "old"), 0);
    rig.put(recordsOf(range(0, 101), "new"), 0);
    const change = rig.runs.change();
    expect(change.merge(2 * (key + 1))).toBe(2 * (key + 1));
    change.write();
    rig.commit(change);
    change.adopt();
    return rig;
  };

  test.each([99, 100])("gives the newest record of the last key merged, and of its neighbours: %d", (key) => {
    const rig = mergedUpTo(key);
    for (const _ of [rig.runs, rig.open()]) {
      expect(range(98, 103).map((k) => rig.find(k))).toEqual(["new", "new", "new", "old", "old"]);
      const around = new Map(range(98, 103).map((k) => [k, k <= 100 ? "new" : "old"]));
      expect(rig.findAll(range(98, 103))).toEqual(around);
      expect([...rig.scan(97)].slice(0, 5)).toEqual([...around]);
    }
  });
});

test("a key next to a long record that is merged is looked up without the blocks of that record", () => {
  const rig = new RunsRig({ filter_bytes_max: 0 });
  const old = new Map([...recordsOf([10], "long".repeat(5_000)), ...recordsOf(range(100, 200), "old")]);
  rig.put(old, 0);
  rig.put(recordsOf(range(5, 95), "new"), 0);
  rig.put(new Map(), 7);
  rig.put(recordsOf(range(1_000, 2_000), "other"), 0);
  expect(rig.find(97)).toBeUndefined();
  expect(rig.findAll([96, 97, 100])).toEqual(new Map([[100, "old"]]));
});

describe("a cursor", () => {
  test("goes on in the new runs when they change under it", () => {
    const rig = new RunsRig();
    rig.put(recordsOf(range(0, 3_000), "old"));
    const cursor = rig.runs.scan(-1);
    const seen: string[] = [];
    for (const key of range(0, 3_000)) {
      if (key % 500 === 0) rig.put(recordsOf(range(0, 3_000), `since ${key}`), ALL);
      expect(cursor.next()).toBe(true);
      expect(cursor.key).toBe(key);
      seen.push(cursor.bytes.toString("latin1", cursor.from, cursor.to));
    }
    expect(cursor.next()).toBe(false);
    expect(seen.every((record, key) => record === `since ${key - (key % 500)}`)).toBe(true);
  });

  test("that is closed gives nothing more", () => {
    const rig = new RunsRig();
    rig.put(recordsOf(range(0, 10), "x"));
    const cursor = rig.runs.scan(-1);
    expect(cursor.next()).toBe(true);
    cursor.close();
    expect(cursor.next()).toBe(false);
  });
});
