import { describe, expect, test } from "bun:test";
import { systemClock } from "../../../src/system/clock.ts";
import { readiness } from "../../../src/http/health.ts";
import type { Log, Reader } from "../../../src/log/port.ts";
import { findOrder } from "../../support/find-order.ts";
import { orderCreated, recordOf } from "../../support/events/orders.ts";
import { eventually, Rig } from "../rig.ts";

const ORDERS = 32_000;
/** How many times faster than real time the time of the partition set passes. */
const HASTE = 200;

describe("a restore", () => {
  test("is over when its last batch is applied, also if that had to wait for dead letters", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    const orders = Array.from({ length: 8_000 }, (_, n) => recordOf(orderCreated({ orderId: `ORD-${n}` })));
    while (orders.length > 0) await rig.append(...orders.splice(0, 1_000));
    await rig.append({ ...recordOf(orderCreated()), value: "{bad" });
    const set = rig.start("x", [0]);
    await eventually(() => set.get(0)?.nextOffset === 8_001);
    await eventually(() => set.restore === undefined);
    expect(rig.restoring.at(-1)?.[0]).toMatch(/^Restored 8,001 records/);
  });

  test("from nothing tells how far it is, and until it is done no order is denied", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    const orders = Array.from({ length: ORDERS }, (_, n) => recordOf(orderCreated({ orderId: `ORD-${n}` })));
    while (orders.length > 0) await rig.append(...orders.splice(0, 1_000));
    // What a client and an operator are told while only a part of the state is there.
    const meanwhile: { status: string; applied: number; restore: unknown; answer: string }[] = [];
    const look = () => {
      const { status, restore } = readiness(set);
      const applied = set.get(0)?.nextOffset ?? 0;
      if (applied < ORDERS) meanwhile.push({ status, restore, applied, answer: answerFor(`ORD-${ORDERS - 1}`) });
    };
    // The others have their turn after each batch that is applied.
    rig.clock.yield = () => (look(), systemClock.yield());
    const set = rig.start("x", [0]);
    const answerFor = (orderId: string) => {
      try {
        return findOrder(set, () => 0, orderId).status;
      } catch (e) {
        return String(e);
      }
    };
    set.partitionCount = 1;
    await eventually(() => readiness(set).status === "ready");
    expect(meanwhile.length).toBeGreaterThan(1);
    for (const { status, restore, applied, answer } of meanwhile) {
      expect(status).toBe("catching-up");
      expect(restore).toMatchObject({ partitions: 1, records: applied, records_total: ORDERS });
      expect(answer).toMatch(
        /CATCHING_UP|is catching up: the next offset that it applies is \d+, and the log ends at 32000; ask again/,
      );
    }
    expect(answerFor(`ORD-${ORDERS - 1}`)).toBe("new");
    expect(readiness(set)).not.toHaveProperty("restore");
    expect(rig.restoring.map(([message]) => message)).toEqual([
      "Restoring 1 partitions from the log: 0 of 32,000 records.",
      expect.stringMatching(/^Restored 32,000 records in [\d.]+ s, [\d,]+ a second\.$/),
    ]);
  });
});

/** A log whose first readers never answer. */
function deafLog(log: Log, deaf: number): { log: Log; readers: () => number } {
  let readers = 0;
  const reader = (topic: string): Reader => {
    const real = log.reader(topic);
    return readers++ < deaf ? { fetch: () => new Promise(() => {}), isThrottled: false, close: () => real.close() } : real;
  };
  const withReader = new Proxy(log, {
    get: (target, name: keyof Log) => {
      const own = name === "reader" ? reader : target[name];
      return typeof own === "function" ? own.bind(target) : own;
    },
  });
  return { log: withReader, readers: () => readers };
}

describe("a partition that stands still", () => {
  test("because fetches are never answered: it is not live, connections are made anew, and it goes on", async () => {
    await using rig = new Rig();
    rig.clock.sleep = (ms, signal) => systemClock.sleep(ms / HASTE, signal);
    await rig.prepare(2);
    await rig.append(orderCreated());
    const deaf = deafLog(rig.log, 2);
    const set = rig.start("x", [0, 1], undefined, deaf.log);
    set.partitionCount = 2;
    await eventually(() => readiness(set).standstill !== undefined);
    expect(set.standstill).toMatch(/^For 30 s or longer nothing was applied: partition 0 at offset 0 of 1\./);
    expect(rig.warnings).toContain(`all: ${set.standstill}`);
    await eventually(() => deaf.readers() === 3 && set.get(0)?.nextOffset === 1);
    await eventually(() => readiness(set).status === "ready");
    expect(readiness(set)).not.toHaveProperty("standstill");
  });

  test("not where there is nothing to read, however long", async () => {
    await using rig = new Rig();
    rig.clock.sleep = (ms, signal) => systemClock.sleep(ms / HASTE, signal);
    await rig.prepare(1);
    await rig.append(orderCreated());
    const watched = deafLog(rig.log, 0);
    const set = rig.start("x", [0], undefined, watched.log);
    await eventually(() => set.get(0)?.nextOffset === 1);
    await Bun.sleep((60_000 / HASTE) * 2);
    expect(set.standstill).toBeUndefined();
    expect(watched.readers()).toBe(1);
  });

  test("nor where the log does not tell its ends; but that is said, once, and once when it does again", async () => {
    await using rig = new Rig();
    rig.clock.sleep = (ms, signal) => systemClock.sleep(ms / HASTE, signal);
    await rig.prepare(1);
    await rig.append(orderCreated());
    let tells = true;
    const log = new Proxy(rig.log, {
      get: (target, name: keyof Log) => {
        if (name === "ends" && !tells) return () => Promise.reject(new Error("partition 0 has no leader"));
        const own = target[name];
        return typeof own === "function" ? own.bind(target) : own;
      },
    });
    const set = rig.start("x", [0], undefined, log);
    await eventually(() => set.get(0)?.state === "running");
    tells = false;
    await eventually(() => rig.warnings.length === 1);
    await Bun.sleep((60_000 / HASTE) * 2);
    expect(rig.warnings).toEqual([expect.stringMatching(/^all: Asking for the ends of orders fails .*no leader$/)]);
    expect(set.standstill).toBeUndefined();
    tells = true;
    await eventually(() => rig.warnings.length === 2);
    expect(rig.warnings[1]).toContain("works again");
  });
});
