import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { SortedRuns } from "../../../../src/runtime/store/runs/sorted-runs.ts";
import { isDamage } from "../../../../src/runtime/store/store-failures.ts";
import { range, recordsOf, RunsRig } from "./runs-rig.ts";

const BLOCK_BYTES = 4_096;
const KEYS = range(0, 4_000, 2);

/** Runs of which some are being merged, and the newest record of each key. */
function someRuns(): { readonly rig: RunsRig; readonly newest: Map<number, string> } {
  const rig = new RunsRig();
  const newest = new Map<number, string>();
  for (let n = 0; n < 6; n++) {
    const records = recordsOf(
      KEYS.filter((_, k) => k % (n + 1) === 0),
      `record ${n}`,
    );
    if (n === 0) records.set(777, "long".repeat(3_000));
    for (const [key, record] of records) newest.set(key, record);
    rig.put(records, n === 5 ? 700 : 0);
  }
  return { rig, newest };
}

/** Merges everything, and returns the numbers of the blocks in use. */
function blocksOnceMerged(rig: RunsRig): number[] {
  for (const _ of [1, 2, 3]) rig.put(new Map(), 1e9);
  const rows = rig.db.query<{ blocks: Uint8Array }, []>("SELECT blocks FROM test_segments").all();
  const blocks = rows.flatMap((row) => [...new Uint32Array(row.blocks.slice().buffer)]);
  expect(blocks.length).toBe(rig.runs.blocks);
  return blocks;
}

/** What the call returns, or that it reports damage. */
function orDamage<Result>(call: () => Result): Result | "damage" {
  try {
    return call();
  } catch (e) {
    if (!isDamage(e)) throw e;
    return "damage";
  }
}

describe("a changed byte", () => {
  test("of any block is reported by whoever reads it, and gives no wrong record", () => {
    const { rig, newest } = someRuns();
    const asked = [...newest.keys()];
    fc.assert(
      fc.property(fc.nat(rig.file.size - 1), (at) => {
        rig.file.damage(at);
        const found = orDamage(() => rig.findAll(asked));
        for (const key of [...asked].slice(at % 100, (at % 100) + 20))
          expect(["damage", newest.get(key)]).toContain(orDamage(() => rig.find(key)));
        const scanned = orDamage(() => rig.scan());
        for (const records of [found, scanned]) if (records !== "damage") expect(records.size).toBe(newest.size);
        if (scanned !== "damage") expect(scanned).toEqual(newest);
        rig.file.damage(at);
      }),
      { numRuns: 150 },
    );
    expect(rig.scan().size).toBe(newest.size);
  });

  test("of every block is reported for each key, asked alone or with others", () => {
    const { rig, newest } = someRuns();
    for (const block of blocksOnceMerged(rig)) rig.file.damage(block * BLOCK_BYTES + 1_000);
    for (const key of newest.keys()) {
      expect(orDamage(() => rig.find(key))).toBe("damage");
      expect(orDamage(() => rig.findAll([key]))).toBe("damage");
    }
  });

  test("of a block in use is reported by a scan, wherever in the block it is", () => {
    const { rig } = someRuns();
    for (const block of blocksOnceMerged(rig))
      for (const at of [0, 4, 8, 2_048, 4_000, 4_095]) {
        rig.file.damage(block * BLOCK_BYTES + at);
        expect(orDamage(() => rig.scan())).toBe("damage");
        rig.file.damage(block * BLOCK_BYTES + at);
      }
  });

  test("that a merge reads lets the merge fail, and the runs stay as they are", () => {
    const { rig, newest } = someRuns();
    const damageAll = () => range(100, rig.file.size, BLOCK_BYTES).forEach((at) => rig.file.damage(at));
    damageAll();
    const change = rig.runs.change();
    expect(orDamage(() => change.merge(1e9))).toBe("damage");
    change.drop();
    damageAll();
    expect(rig.scan().size).toBe(newest.size);
  });

  test("of the manifest is reported when the runs are opened", () => {
    for (const column of ["fences", "blocks", "checksums", "filter"]) {
      const { rig } = someRuns();
      rig.db.run(`UPDATE test_segments SET ${column} = zeroblob(length(${column})) WHERE segment = 3`);
      expect(orDamage(() => rig.open())).toBe("damage");
    }
  });
});

test("a block that is whole, but another, is damage", () => {
  const { rig, newest } = someRuns();
  const [first = 0, second = 0] = blocksOnceMerged(rig);
  const other = Buffer.alloc(BLOCK_BYTES);
  rig.file.read(other, 0, BLOCK_BYTES, second * BLOCK_BYTES);
  rig.file.write(other, 0, BLOCK_BYTES, first * BLOCK_BYTES);
  expect(orDamage(() => rig.findAll(newest.keys()))).toBe("damage");
});

test("a file that was cut short is damage when the runs are opened", () => {
  const { rig } = someRuns();
  rig.file.truncate(rig.file.size - 1);
  expect(orDamage(() => rig.open())).toBe("damage");
});

test("a database that a power cut took back gives its own records or damage, and none of those written since", () => {
  const { rig, newest } = someRuns();
  const taken = Database.deserialize(rig.db.serialize(), { strict: true });
  for (let n = 0; n < 10; n++) rig.put(recordsOf(KEYS, `since ${n}`), 1e9);
  const runs = new SortedRuns(taken, rig.file, "test");
  const outcomes = [...newest].map(([key, record]) => {
    const found = orDamage(() => runs.find(key));
    if (found === "damage") return found;
    expect(found?.bytes.toString("latin1", found.from, found.to)).toBe(record);
    return "right";
  });
  expect(outcomes).toContain("damage");
});

test("a cursor that met damage gives nothing more", () => {
  const rig = new RunsRig();
  rig.put(recordsOf(range(0, 10), "old"));
  rig.put(recordsOf([5], "new"), 0);
  rig.file.damage(100);
  const cursor = rig.runs.scan(-1);
  expect(orDamage(() => cursor.next())).toBe("damage");
  expect(cursor.next()).toBe(false);
});
