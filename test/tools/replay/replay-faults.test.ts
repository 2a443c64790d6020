import { expect, test } from "bun:test";
import { systemClock } from "../../../src/system/clock.ts";
import { AppError } from "../../../src/errors.ts";
import type { NewRecord } from "../../../src/log/port.ts";
import { noFaults } from "../../log/memory/memory-log.ts";
import { operationsRig, spoiled, TOPIC } from "../rig.ts";
import { PARTITIONS, arrivedIn, expectedOf, nth, replay, some } from "./rig.ts";

test("answers lost, appends refused and late, reads that fail: each record arrives once", async () => {
  let appends = 0;
  let fetches = 0;
  const faults = ["ok", "lose-answer", "ok", "land-late", "ok", "reject"] as const;
  await using rig = await operationsRig(PARTITIONS, {
    ...noFaults,
    onAppend: (connection) => (connection.startsWith("operation") ? (faults[appends++ % faults.length] ?? "ok") : "ok"),
    onFetch: (connection) => (connection.startsWith("operation") && fetches++ % 7 === 0 ? "reject" : "ok"),
  });
  await rig.append(...some(4_000));
  const source = await rig.read(TOPIC);
  // The rate makes the replay take many appends.
  const { code, said } = await replay(rig, "--id r --rate 3000");
  expect([code, said.includes("It is tried again")]).toEqual([0, true]);
  expect(arrivedIn(await rig.read("orders.replay"))).toEqual(expectedOf(source, () => true));
});

test("what an append whose answer was lost left on its way lands, at the latest, when its producer is fenced: it is looked up after that", async () => {
  await using rig = await operationsRig(1);
  await rig.append(...[0, 1, 2].map((n) => ({ ...nth(n), partition: 0 })));
  const connected = rig.broker.connect("operation");
  let late: readonly NewRecord[] = [];
  const log = spoiled(connected, (records) => {
    if (late.length > 0) return records;
    late = records;
    throw new AppError("APPEND_OUTCOME_UNKNOWN", "The answer was lost.");
  });
  const fencedProducer = async (id: string) => {
    if (late.length > 0) await connected.producer().append("orders.replay", late);
    return log.fencedProducer(id);
  };
  const landing = new Proxy(log, {
    get: (target, name) => (name === "fencedProducer" ? fencedProducer : (Reflect.get(target, name, target) as unknown)),
  });
  expect((await replay(rig, "", { log: landing })).code).toBe(0);
  expect(await rig.read("orders.replay")).toHaveLength(3);
});

test("what cannot be mended is given up after a bounded time, and how to go on is said; going on, it ends whole", async () => {
  let isBroken = true;
  await using rig = await operationsRig(PARTITIONS, {
    ...noFaults,
    onAppend: (connection) => (connection.startsWith("operation") && isBroken ? "reject" : "ok"),
  });
  await rig.append(...some(300));
  const clock = { ...systemClock, now_ms: () => systemClock.now_ms() * 300 };
  const { code, said } = await replay(rig, "--id r --orders ORD-3", { clock });
  expect([code, said.match(/It is tried again/g)?.length]).toEqual([1, 1]);
  expect(said).toEndWith("To go on: bun run replay --id r\n");
  isBroken = false;
  expect((await replay(rig, "--id r")).code).toBe(0);
  expect((await rig.read("orders.replay")).length).toBeGreaterThan(5);
});

test("interrupted anywhere, it goes on behind what is there, and each record arrived once", async () => {
  await using rig = await operationsRig(PARTITIONS);
  await rig.append(...some(3_000));
  const source = await rig.read(TOPIC);
  let interruptions = 0;
  for (let wait_ms = 5; ; wait_ms += 10) {
    const { code, said } = await replay(rig, "--id r --rate 30000", { signal: AbortSignal.timeout(wait_ms) });
    if (code === 0) break;
    expect(code).toBe(130);
    if (said.includes("To go on")) interruptions++;
  }
  expect(interruptions).toBeGreaterThan(1);
  expect(arrivedIn(await rig.read("orders.replay"))).toEqual(expectedOf(source, () => true));
});
