import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { hashOf, type Partitioner, partitionFor } from "../../../../src/log/partitioner.ts";
import { nameOf } from "../../../../src/orders/order-key.ts";
import { mayHave, Strays, STRAYS_SCHEMA } from "../../../../src/services/cart/index/strays.ts";

/** Orders that carts created while the topic had so many partitions; the counts grow. */
interface Era {
  readonly count: number;
  readonly orders: readonly number[];
}

const orders = fc.uniqueArray(fc.nat({ max: 5_000 }), { minLength: 1, maxLength: 40 });
const eras = fc
  .uniqueArray(fc.integer({ min: 1, max: 24 }), { minLength: 1, maxLength: 7 })
  .chain((counts) =>
    fc.tuple(...counts.toSorted((a, b) => a - b).map((count) => fc.record({ count: fc.constant(count), orders }))),
  );

function opened(db = new Database(":memory:", { strict: true })): { strays: Strays; db: Database } {
  db.run(STRAYS_SCHEMA.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS"));
  return { strays: new Strays(db), db };
}

const idOf = (n: number): string => `ORD-${n}`;

/** The partition's index, which has read all of it: as it came, or anew, when only the last count is known. */
function readBy(all: readonly Era[], partition: number, isAnew: boolean, partitioner: Partitioner = "murmur2"): Strays {
  const newest = all.at(-1)!.count;
  const { strays } = opened();
  for (const { count, orders: created } of all)
    for (const n of created)
      if (partitionFor("murmur2", idOf(n), count) === partition)
        strays.note(nameOf(idOf(n)), partition, { partitioner, partitionCount: () => (isAnew ? newest : count) });
  return strays;
}

const mayHaveOrder = (strays: Strays, partition: number, n: number): boolean =>
  mayHave(strays.placedBy, partition, hashOf("murmur2", idOf(n)));

test("an order is looked for wherever some count has put it, also by an index that was made anew", () => {
  fc.assert(
    fc.property(eras, fc.boolean(), (all, isAnew) => {
      for (let partition = 0; partition < all.at(-1)!.count; partition++) {
        const strays = readBy(all, partition, isAnew);
        for (const { count, orders: created } of all)
          for (const n of created)
            if (partitionFor("murmur2", idOf(n), count) === partition) expect(mayHaveOrder(strays, partition, n)).toBe(true);
      }
    }),
    { numRuns: 300 },
  );
});

test("it reads back what it wrote", () => {
  fc.assert(
    fc.property(eras, (all) => {
      const { strays, db } = opened();
      const partition = 0;
      for (const { count, orders: created } of all) {
        for (const n of created)
          if (partitionFor("murmur2", idOf(n), count) === partition)
            strays.note(nameOf(idOf(n)), partition, { partitioner: "murmur2", partitionCount: () => count });
        strays.write();
        expect(opened(db).strays).toMatchObject({ placedBy: strays.placedBy });
      }
    }),
    { numRuns: 100 },
  );
});

const many = Array.from({ length: 500 }, (_, n) => n);

test.each([
  ["while no partitions were added", [{ count: 6, orders: many }], [6]],
  ["as partitions were added", [3, 4].map((count) => ({ count, orders: many })), [4, 3]],
])("what it tells: %s, the counts", (_, all, counts) => {
  expect(readBy(all, 1, false).placedBy).toEqual(counts);
});

test("an index that is made anew finds out by which earlier counts the orders were put there", () => {
  const all = [3, 5, 12].map((count) => ({ count, orders: many }));
  for (const partition of [0, 1, 2]) expect(readBy(all, partition, true).placedBy?.toSorted((a, b) => a - b)).toEqual([3, 5, 12]);
  expect(readBy(all, 4, true).placedBy).toEqual([12, 5]);
  expect(readBy(all, 11, true).placedBy).toEqual([12]);
});

test("orders of another partitioner may be anywhere", () => {
  const all = [{ count: 6, orders: many }];
  for (let partition = 0; partition < 6; partition++) expect(readBy(all, partition, false, "crc32").placedBy).toBeUndefined();
});

test("so may all orders of a topic that had too many counts, and those that came while the count was not known", () => {
  const all = [2, 3, 5, 7, 11, 13].map((count) => ({ count, orders: many }));
  expect(readBy(all, 0, false).placedBy).toBeUndefined();
  const { strays } = opened();
  strays.note(nameOf("ORD-1"), 0, { partitioner: "murmur2", partitionCount: () => 0 });
  expect(strays.placedBy).toBeUndefined();
});
