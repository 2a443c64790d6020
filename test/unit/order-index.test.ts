import { expect, test } from "bun:test";
import type { IndexView } from "../../src/cart/index-projection.ts";
import { OrderIndex } from "../../src/cart/order-index.ts";
import { OwnCreates } from "../../src/cart/own-creates.ts";
import { systemClock } from "../../src/clock.ts";
import { AppError } from "../../src/errors.ts";
import type { HeldPartitions, PartitionView } from "../../src/partitions/projection.ts";

const rebuilt = new AppError("CATCHING_UP", "The index is damaged and is rebuilt; ask again.");

function indexOver(held: Partial<PartitionView<IndexView>>): { index: OrderIndex; failures: unknown[] } {
  const failures: unknown[] = [];
  const partition = {
    partition: 0,
    state: "running",
    isSuspended: false,
    failed: (e: unknown) => (failures.push(e), rebuilt),
    ...held,
  } as PartitionView<IndexView>;
  const partitions = {
    partitionCount: 1,
    held: () => [partition],
    get: () => partition,
  } as unknown as HeldPartitions<IndexView>;
  const index = new OrderIndex({ partitions, ownCreates: new OwnCreates(), watermarks: async () => [], clock: systemClock });
  return { index, failures };
}

test("a query that fails is told to the partition, which may have its store rebuilt, and answered as that says", () => {
  const damage = Object.assign(new Error("database disk image is malformed"), { code: "SQLITE_CORRUPT" });
  const fail = () => {
    throw damage;
  };
  const { index, failures } = indexOver({ view: { order: fail, keyedEvent: fail } });
  expect(() => index.find("ORD-1")).toThrow(rebuilt);
  expect(() => index.findKeyed("e")).toThrow(rebuilt);
  expect(failures).toEqual([damage, damage]);
});

test("a partition whose store fails before it has caught up counts as unread; one that is halted for good does not hold the others up", () => {
  expect(indexOver({ state: "halted", isSuspended: true }).index.isOpened).toBe(false);
  expect(indexOver({ state: "catching-up" }).index.isOpened).toBe(false);
  expect(indexOver({ state: "halted", isSuspended: false }).index.isOpened).toBe(true);
});
