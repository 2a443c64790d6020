import { expect, test } from "bun:test";
import { created, eventually, poison, record, Rig } from "../runtime/rig.ts";

test("records are traced as they come, each once, poison too; those read again from the log's start are not", async () => {
  await using rig = new Rig();
  await rig.prepare(1);
  const traced: number[] = [];
  rig.tracer = {
    applying: (_, records, fromOffset) => (nextOffset) => {
      for (const { offset } of records) if (offset >= fromOffset && offset < nextOffset) traced.push(offset);
    },
  };
  await rig.append(record(0, created("ORD-1", "a")), record(0, created("ORD-2", "b")));
  const set = rig.start("x", [0]);
  await eventually(() => set.get(0)?.state === "running");
  expect(traced).toEqual([]);
  await rig.append(record(0, created("ORD-3", "c")));
  await eventually(() => set.get(0)?.nextOffset === 3);
  await rig.append(record(0, created("ORD-4", "d")), poison(0, "not JSON"));
  await eventually(() => set.get(0)?.nextOffset === 5);
  await eventually(() => traced.length === 3);
  set.rebuild(0, "to read all again");
  await eventually(() => set.get(0)?.nextOffset === 5 && set.get(0)?.state === "running");
  expect(traced).toEqual([2, 3, 4]);
});
