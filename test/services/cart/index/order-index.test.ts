import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { indexProjection } from "../../../../src/services/cart/index/index-projection.ts";
import { OrderIndex } from "../../../../src/services/cart/index/order-index.ts";
import { OwnCreates } from "../../../../src/services/cart/index/own-creates.ts";
import { AppError } from "../../../../src/errors.ts";
import type { HeldPartitions, PartitionView } from "../../../../src/runtime/held-partitions.ts";
import { onlyView } from "../../../support/stores/only-view.ts";

const rebuilt = new AppError("CATCHING_UP", "The index is damaged and is rebuilt; ask again.");

function indexOver(held: Partial<PartitionView>): { index: OrderIndex; failures: unknown[] } {
  const failures: unknown[] = [];
  const partition = {
    partition: 0,
    state: "running",
    queryError: (e: unknown) => (failures.push(e), rebuilt),
    ...held,
  } as PartitionView;
  const partitions = {
    partitionCount: 1,
    held: () => [partition],
    get: () => partition,
  } as unknown as HeldPartitions;
  const ownCreates = new OwnCreates();
  const index = new OrderIndex({
    partitions,
    projection: indexProjection(ownCreates),
    ownCreates,
    onDisagreement: () => undefined,
  });
  return { index, failures };
}

test("a query that fails is told to the partition, which may have its store rebuilt, and answered as that says", () => {
  const damage = Object.assign(new Error("database disk image is malformed"), { code: "SQLITE_CORRUPT" });
  const fail = () => {
    throw damage;
  };
  const { index, failures } = indexOver({ view: onlyView({ order: fail, keyedEvent: fail }) });
  expect(() => index.find("ORD-1")).toThrow(rebuilt);
  expect(() => index.findKeyed("e", "ORD-1")).toThrow(rebuilt);
  expect(failures).toEqual([damage, damage]);
});

test("an index from when a key had one event in all orders keeps what it has, and takes one for each order from then on", () => {
  const db = new Database(":memory:", { strict: true });
  const projection = indexProjection(new OwnCreates());
  db.run(projection.schema);
  db.run("DROP TABLE keyed_events");
  db.run(`CREATE TABLE keyed_events (
      event_id TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, order_id TEXT NOT NULL, partition INTEGER NOT NULL, "offset" INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID`);
  db.run("INSERT INTO keyed_events VALUES ('e', 'print', 'ORD-1', 2, 7)");
  for (const partition of [0, 1]) {
    const { view } = projection.open(db, partition);
    expect(view.keyedEvent("e", "ORD-1")).toEqual({ fingerprint: "print", orderId: "ORD-1", partition: 2, offset: 7 });
  }
  db.run("INSERT INTO keyed_events VALUES ('e', 'ORD-2', 'another', 1, 3)");
  const { view } = projection.open(db, 2);
  expect(view.keyedEvent("e", "ORD-2")?.fingerprint).toBe("another");
  expect(view.keyedEvent("e", "ORD-3")?.orderId).toBeOneOf(["ORD-1", "ORD-2"]);
});
