import { expect, test } from "bun:test";
import { orderCreated } from "../../support/events/orders.ts";
import { eventually, poison, Rig } from "../rig.ts";

test("records are traced as they come, each once, poison too; those read again from the log's start are not", async () => {
  await using rig = new Rig();
  await rig.prepare(1);
  const traced: number[] = [];
  rig.tracer = {
    applying: (_, records, fromOffset) => (nextOffset) => {
      for (const { offset } of records) if (offset >= fromOffset && offset < nextOffset) traced.push(offset);
    },
  };
  await rig.append(orderCreated(), orderCreated({ orderId: "ORD-2" }));
  const set = rig.start("x", [0]);
  await eventually(() => set.get(0)?.state === "running");
  expect(traced).toEqual([]);
  await rig.append(orderCreated({ orderId: "ORD-3" }));
  await eventually(() => set.get(0)?.nextOffset === 3);
  await rig.append(orderCreated({ orderId: "ORD-4" }), poison(0, "not JSON"));
  await eventually(() => set.get(0)?.nextOffset === 5);
  await eventually(() => traced.length === 3);
  set.rebuild(0, "to read all again");
  await eventually(() => set.get(0)?.nextOffset === 5 && set.get(0)?.state === "running");
  expect(traced).toEqual([2, 3, 4]);
});
