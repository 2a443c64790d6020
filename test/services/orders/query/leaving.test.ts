import { expect, test } from "bun:test";
import type { AppError } from "../../../../src/errors.ts";
import { InFlight } from "../../../../src/http/in-flight.ts";
import { NewestEnds } from "../../../../src/runtime/read/newest-ends.ts";
import { NewestRecords } from "../../../../src/services/orders/query/newest-records.ts";
import { OrderSearch } from "../../../../src/services/orders/query/order-search.ts";
import { UnreadRecords } from "../../../../src/services/orders/query/unread/unread-records.ts";
import { systemClock } from "../../../../src/system/clock.ts";
import { eventually, Rig, TOPIC } from "../../../runtime/rig.ts";
import { orderCreated, recordOf } from "../../../support/events/orders.ts";
import { loneFleet } from "../../../support/fleets/lone-fleet.ts";

/** A search over four partitions that have been read, and how often the log was asked where what is unread ends. */
async function searching(rig: Rig, waiting_max = 1_000) {
  await rig.prepare(4);
  const set = rig.start("x", [0, 1, 2, 3]);
  await eventually(() => set.held().every(({ state, hasStore }) => state === "running" && hasStore));
  const inFlight = new InFlight(waiting_max);
  const asked = { unread: 0 };
  const log = Object.create(rig.log, {
    endOffsets: {
      value: (...all: Parameters<typeof rig.log.endOffsets>) => {
        asked.unread++;
        return rig.log.endOffsets(...all);
      },
    },
  }) as typeof rig.log;
  const searchWith = (ends: Pick<typeof rig.log, "endOffsets">) =>
    new OrderSearch({
      partitions: set,
      partitionOf: () => 1,
      fleet: loneFleet(),
      newest: new NewestRecords(set, new NewestEnds(ends, TOPIC, systemClock), systemClock),
      unread: new UnreadRecords(log, TOPIC, systemClock),
      read_wait_ms_max: 100,
      inFlight,
      clock: systemClock,
    });
  return { set, inFlight, asked, searchWith };
}

/** What the search answers one who hangs up after 20 ms. */
async function answerToLeaving(search: OrderSearch, orderId: string): Promise<string> {
  const leaving = new AbortController();
  const answer = search.details(orderId, undefined, { client: "c", leaving: leaving.signal });
  const code = answer.then(
    () => "found",
    (e: AppError) => e.code,
  );
  await systemClock.sleep(20);
  leaving.abort();
  return code;
}

test("who hangs up while the log's end is awaited has it asked for nothing more", async () => {
  await using rig = new Rig();
  const { asked, searchWith } = await searching(rig);
  const silent = { endOffsets: () => new Promise<never>(() => undefined) };
  expect(await answerToLeaving(searchWith(silent), "ORD-1")).toBe("LOG_UNAVAILABLE");
  expect(asked.unread).toBe(0);
});

test("who is refused because too many wait has the log asked for nothing", async () => {
  await using rig = new Rig();
  const { inFlight, asked, searchWith } = await searching(rig, 2);
  inFlight.waiting.acquire("another");
  const answer = searchWith(rig.log).details("ORD-1", undefined, { client: "c" });
  expect(await answer.catch((e: AppError) => e.code)).toBe("OVERLOADED");
  expect(asked.unread).toBe(0);
});

test("who hangs up leaves no wait behind, and no permit taken", async () => {
  await using rig = new Rig();
  const { set, inFlight, searchWith } = await searching(rig);
  rig.broker.topics.openTransaction(TOPIC, [recordOf(orderCreated({ orderId: "ORD-5" }), { partition: 1 })]);
  const held = set.get(1)!;
  const reached = held.reached.bind(held);
  let waits = 0;
  let waiting = 0;
  held.reached = async (...all) => {
    waits++;
    waiting++;
    return reached(...all).finally(() => waiting--);
  };
  const search = searchWith(rig.log);
  await Promise.all(Array.from({ length: 100 }, (_, n) => answerToLeaving(search, `ORD-${n}`)));
  expect(waits).toBeGreaterThan(0);
  expect({ waiting, permits: inFlight.waiting.held }).toEqual({ waiting: 0, permits: 0 });
});
