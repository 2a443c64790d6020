import { expect, test } from "bun:test";
import { indexProjection } from "../../../../src/services/cart/index/index-projection.ts";
import { OrderIndex } from "../../../../src/services/cart/index/order-index.ts";
import { OwnCreates } from "../../../../src/services/cart/index/own-creates.ts";
import { AppError } from "../../../../src/errors.ts";
import type { HeldPartitions, PartitionView } from "../../../../src/runtime/held-partitions.ts";
import { onlyView } from "../../../support/stores/only-view.ts";
import { placingIn } from "../../../support/events/placing.ts";

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
    projection: indexProjection(ownCreates, placingIn(3)),
    ownCreates,
    partitioner: "murmur2",
    homes: () => undefined,
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
