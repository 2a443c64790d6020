import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { OrderEvent } from "../../../../src/orders/events/kinds.ts";
import type { PartitionSet } from "../../../../src/runtime/partition-set.ts";
import { orderProjection } from "../../../../src/services/orders/state/order-projection.ts";
import { orderCreated, statusUpdated } from "../../../support/events/orders.ts";
import { eventually, Rig } from "../../../runtime/rig.ts";
import { diskFull, filesWithFaults, type StatementFault } from "../../../support/stores/store-faults.ts";

describe("orders and held updates", () => {
  const rig = new Rig();
  let isFull = false;
  const failing: StatementFault = (run) => {
    if (isFull) throw diskFull();
    return run();
  };
  let set: PartitionSet;
  let next = 0;
  const counts = (of = set) => of.get(0)?.view(orderProjection)?.counts();
  const apply = async (...events: OrderEvent[]) => {
    await rig.append(...events);
    next += events.length;
    await eventually(() => set.get(0)?.nextOffset === next);
    return counts();
  };
  beforeAll(async () => {
    await rig.prepare(1);
    set = rig.start(
      "counts",
      [0],
      filesWithFaults((sql) => (sql === "COMMIT" ? failing : undefined)),
    );
  });
  afterAll(() => rig[Symbol.asyncDispose]());

  test("are counted once and kept up to date", async () => {
    const early = (eventId: string, orderId = "ORD-2") => statusUpdated({ orderId, eventId });
    expect(await apply(orderCreated(), early("b"))).toEqual({ orders: 1, held: 1 });
    expect(await apply(early("c"), early("d", "ORD-3"))).toEqual({ orders: 1, held: 3 });
    expect(await apply(orderCreated({ orderId: "ORD-2" }))).toEqual({ orders: 2, held: 1 });
  });

  test("are counted as applied while the saving fails, and once when it goes through", async () => {
    isFull = true;
    expect(await apply(orderCreated({ orderId: "ORD-4" }))).toEqual({ orders: 3, held: 1 });
    await eventually(() => set.get(0)?.state === "suspended");
    expect(counts()).toEqual({ orders: 3, held: 1 });
    isFull = false;
    expect(await apply(statusUpdated({ orderId: "ORD-9" }))).toEqual({ orders: 3, held: 2 });
  });

  test("are read by a service that opens the store", async () => {
    await set.close();
    set = rig.start("counts", [0]);
    await eventually(() => set.get(0)?.nextOffset === next);
    expect(counts()).toEqual({ orders: 3, held: 2 });
  });

  test("are counted anew by a service that folds the log again", async () => {
    const again = rig.start("counts-again", [0]);
    await eventually(() => again.get(0)?.nextOffset === next);
    expect(counts(again)).toEqual({ orders: 3, held: 2 });
  });
});
