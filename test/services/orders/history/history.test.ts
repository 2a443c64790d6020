import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { systemClock } from "../../../../src/system/clock.ts";
import { InFlight } from "../../../../src/http/in-flight.ts";
import { type HttpServer, serve } from "../../../../src/http/serve.ts";
import { httpApp } from "../../../../src/http/app.ts";
import { type DeadLetterShown, shownBytes } from "../../../../src/services/orders/dead-letters/dead-letter-listing.ts";
import { deadLetters } from "../../../../src/services/orders/dead-letters/dead-letters-endpoint.ts";
import { orderEvents } from "../../../../src/services/orders/history/order-events-endpoint.ts";
import { AppError } from "../../../../src/errors.ts";
import { LogScans, SCANS_MAX, SCANS_WAITING_MAX } from "../../../../src/services/orders/query/log-scan.ts";
import { initialState } from "../../../../src/orders/fold.ts";
import { formatCursor } from "../../../../src/services/orders/history/timeline-cursor.ts";
import type { TimelineEvent } from "../../../../src/services/orders/history/timeline.ts";
import { STATUSES } from "../../../../src/orders/order.ts";
import { createLogger } from "../../../../src/telemetry/logger.ts";
import { NewestRecords } from "../../../../src/services/orders/query/newest-records.ts";
import { NewestEnds } from "../../../../src/runtime/read/newest-ends.ts";
import { OrderSearch } from "../../../../src/services/orders/query/order-search.ts";
import { loneFleet } from "../../../support/fleets/lone-fleet.ts";
import { orderCreated, recordOf, statusUpdated } from "../../../support/events/orders.ts";
import { DEAD_LETTER_TOPIC, eventually, poison, Rig, TOPIC } from "../../../runtime/rig.ts";

type ShownEvent = TimelineEvent & { readonly status?: string; readonly totalAmount?: number };

interface Timeline {
  readonly orderId: string;
  readonly events: readonly ShownEvent[];
  readonly next: string | null;
  readonly isCut: boolean;
  readonly scannedTo: number;
}
interface Letters {
  readonly letters: readonly DeadLetterShown[];
  readonly next: string | null;
}

const rig = new Rig();
let service: HttpServer;
const scans = new LogScans(rig.log, systemClock);

async function ask(path: string): Promise<{ status: number; body: Partial<Timeline & Letters & { code: string }> }> {
  const response = await fetch(`${service.url}${path}`);
  return { status: response.status, body: (await response.json()) as Timeline & Letters };
}

/** All pages, with at most `limit` events each. */
async function timeline(orderId: string, limit = 200): Promise<{ events: Timeline["events"]; pages: number; isCut: boolean }> {
  const events: ShownEvent[] = [];
  for (let after = "", pages = 1; ; pages++) {
    const { status, body } = await ask(`/orders/${orderId}/events?limit=${limit}${after}`);
    expect(status).toBe(200);
    events.push(...(body.events ?? []));
    if (body.next === null) return { events, pages, isCut: body.isCut === true };
    after = `&after=${body.next}`;
  }
}

async function letters(query = "", limit = 100): Promise<{ letters: DeadLetterShown[]; pages: number }> {
  const all: DeadLetterShown[] = [];
  for (let after = "", pages = 1; ; pages++) {
    const { status, body } = await ask(`/dead-letters?limit=${limit}${query}${after}`);
    expect(status).toBe(200);
    all.push(...(body.letters ?? []));
    if (body.next === null) return { letters: all, pages };
    after = `&after=${body.next}`;
  }
}

const LONG = "ORD-900";

beforeAll(async () => {
  await rig.prepare(3);
  const set = rig.start("a", [0, 1, 2]);
  set.partitionCount = 4;
  await rig.append(
    // Early updates, a create, and all that may come after it, with other orders in between.
    statusUpdated({ eventId: "e1" }),
    orderCreated({ orderId: "ORD-2", eventId: "x1" }),
    statusUpdated({ eventId: "e2", status: "confirmed" }),
    orderCreated({ eventId: "e3" }),
    statusUpdated({ eventId: "e2", status: "confirmed" }),
    orderCreated({ eventId: "e4" }),
    recordOf(statusUpdated({ eventId: "e5", status: "shipped" }), { headers: [["x-replay-id", "night-1"]] }),
    recordOf(statusUpdated({ eventId: "e6", status: "cancelled" }), { headers: [["x-redrive-count", "2"]] }),
    poison(0, "no json"),
    // Two ids of equal length with the same last digit.
    orderCreated({ orderId: "ORD-21", eventId: "s1" }),
    orderCreated({ orderId: "ORD-31", eventId: "s2" }),
    // Updates that wait in a partition where their create will not come.
    recordOf(statusUpdated({ eventId: "e7", status: "new" }), { partition: 1 }),
    recordOf(statusUpdated({ orderId: "ORD-3", eventId: "e8", status: "new" }), { partition: 1 }),
    // As many held updates as fit, and one more.
    ...Array.from({ length: 101 }, (_, i) => recordOf(statusUpdated({ orderId: "ORD-4", eventId: `h${i}` }), { partition: 2 })),
    // More events than a cursor carries.
    recordOf(orderCreated({ orderId: LONG, eventId: "l" }), { partition: 2 }),
    ...Array.from({ length: 1_050 }, (_, i) =>
      recordOf(statusUpdated({ orderId: LONG, eventId: `l${i}`, status: STATUSES[i % 6]! }), { partition: 2 }),
    ),
  );
  await rig.append({ ...poison(1, "\uFFFD<b>bold</b>\u0000"), key: Buffer.from([0xff, 0x00]) });
  await rig.append({ ...poison(1, ""), value: Buffer.from([0xfe, 0x80, 1]) });
  await eventually(() => set.get(2)?.nextOffset === 1_152 && set.get(1)?.nextOffset === 4 && set.get(0)?.nextOffset === 11);
  const inFlight = new InFlight(100);
  const search = new OrderSearch({
    partitions: set,
    partitionOf: () => 0,
    fleet: loneFleet(),
    newest: new NewestRecords(set, new NewestEnds(rig.log, TOPIC, systemClock), systemClock),
    read_wait_ms_max: 100,
    inFlight,
    clock: systemClock,
  });
  const options = {
    partitions: set,
    search,
    scans,
    orders_topic: TOPIC,
    dead_letter_topic: DEAD_LETTER_TOPIC,
  };
  const endpoints = [orderEvents(options), deadLetters(options)];
  service = serve(httpApp(endpoints, inFlight, createLogger({ level: "silent", format: "json" }), { clock: systemClock }), {
    host: "127.0.0.1",
    port: 0,
    portSetting: "ORDER_PORT",
    shutdown_wait_ms_max: 1_000,
    inFlight,
    clock: systemClock,
  });
});
afterAll(async () => {
  await service?.stop();
  await rig[Symbol.asyncDispose]();
});

describe("an order's timeline", () => {
  test("tells each event in log order and what became of it, in every partition that knows the order", async () => {
    const { events } = await timeline("1");
    const told = events.map(({ partition, offset, outcome, eventId, status }) => [partition, offset, outcome, eventId, status]);
    expect(told).toEqual([
      [0, 0, "held", "e1", "pending"],
      [0, 2, "held", "e2", "confirmed"],
      [0, 3, "created", "e3", "new"],
      [0, 4, "duplicate", "e2", "confirmed"],
      [0, 5, "already-created", "e4", "new"],
      [0, 6, "updated", "e5", "shipped"],
      [0, 7, "updated", "e6", "cancelled"],
      [0, 8, "poison", undefined, undefined],
      [1, 0, "held", "e7", "new"],
      [1, 3, "poison", undefined, undefined],
    ]);
    expect(events[0]).toMatchObject({ isWaiting: false, time: "1970-01-01T00:00:00.001Z", type: "ORDER_STATUS_UPDATED" });
    expect(events[2]).toMatchObject({ heldApplied: 2, totalAmount: 10, currency: "USD", type: "ORDER_CREATED" });
    expect(events[6]).toMatchObject({ redrives: 2 });
    expect(events[5]).toMatchObject({ replayId: "night-1" });
    expect(events[7]).toMatchObject({ reason: "not_json" });
    expect(events[8]).toMatchObject({ isWaiting: true });
  });

  test("is of that order alone", async () => {
    expect((await timeline("ORD-21")).events.map(({ eventId }) => eventId)).toEqual(["s1"]);
  });

  test("says the same however small its pages are", async () => {
    for (const orderId of ["ORD-1", "ORD-3", "ORD-4"]) {
      const whole = await timeline(orderId);
      const small = await timeline(orderId, 1);
      expect(small.events).toEqual(whole.events);
      expect(small.pages).toBeGreaterThanOrEqual(whole.events.length);
    }
  });

  test("says which updates found the queue full", async () => {
    const { events } = await timeline("ORD-4", 30);
    expect(events.map(({ outcome }) => outcome)).toEqual([
      ...Array.from({ length: 100 }, () => "held" as const),
      "held-overflow",
    ]);
    expect(events[100]).toMatchObject({ reason: "held_overflow" });
  });

  test("ends, and says so, where there are more events than a cursor carries", async () => {
    const { events, isCut } = await timeline(LONG, 150);
    expect([events.length, isCut, events[1_000]?.outcome]).toEqual([1_001, true, "updated"]);
  });

  test("searches the log no more than so often at a time: some wait, more are refused", async () => {
    const held = Array.from({ length: SCANS_MAX + SCANS_WAITING_MAX }, () => Promise.withResolvers<void>());
    let under_way = 0;
    const running = held.map(({ promise }, n) =>
      scans.of(`client ${n % 2}`).run(TOPIC, () => {
        under_way++;
        return promise;
      }),
    );
    expect(await ask("/orders/1/events")).toMatchObject({ status: 503, body: { code: "OVERLOADED" } });
    expect(await ask("/dead-letters")).toMatchObject({ status: 503, body: { code: "OVERLOADED" } });
    expect(under_way).toBe(SCANS_MAX);
    held[0]?.resolve();
    await eventually(() => under_way === SCANS_MAX + 1);
    for (const { resolve } of held) resolve();
    await Promise.all(running);
    expect(under_way).toBe(held.length);
    expect((await ask("/orders/1/events")).status).toBe(200);
  });

  test("leaves others room where one client searches as often as it can", async () => {
    const held = Promise.withResolvers<void>();
    const greedy = Array.from({ length: SCANS_MAX + SCANS_WAITING_MAX }, () =>
      scans
        .of("192.0.2.1")
        .run(TOPIC, () => held.promise)
        .then(
          () => "done",
          (e: unknown) => (e instanceof AppError ? e.code : String(e)),
        ),
    );
    const answer = ask("/orders/1/events");
    held.resolve();
    expect((await answer).status).toBe(200);
    expect((await Promise.all(greedy)).filter((outcome) => outcome === "OVERLOADED")).toHaveLength(greedy.length / 2);
  });

  test("refuses with a problem what cannot be", async () => {
    const codes = async (path: string) => {
      const { status, body } = await ask(path);
      return [status, body.code];
    };
    expect(await codes("/orders/abc/events")).toEqual([422, "INVALID_FIELD"]);
    for (const query of ["limit=0", "limit=201", "limit=x", "after=1", "after=0.1.2.0.", "after=0.1.1.0.abc", "after=0.1.0.101."])
      expect(await codes(`/orders/1/events?${query}`)).toEqual([422, "INVALID_FIELD"]);
    // Partition 3 is another instance's, so nobody here knows whether there is such an order.
    const elsewhere = formatCursor({ partition: 3, offset: 0, state: initialState, counted: new Set() });
    expect(await codes("/orders/77/events")).toEqual([421, "PARTITION_ELSEWHERE"]);
    expect(await codes(`/orders/1/events?after=${elsewhere}`)).toEqual([421, "PARTITION_ELSEWHERE"]);
    for (const query of ["limit=101", "after=x", "after=1.2_", "reason=A%20b"])
      expect(await codes(`/dead-letters?${query}`)).toEqual([422, "INVALID_FIELD"]);
  });
});

describe("the dead letters", () => {
  test("are listed newest first, with reason, origin, bytes, and the command that redrives one", async () => {
    const { letters: all } = await letters();
    expect(all.map(({ reason }) => reason).toSorted()).toEqual(["held_overflow", "invalid_utf8", "not_json", "not_json"]);
    const times = all.map(({ time }) => time);
    expect(times).toEqual(times.toSorted().toReversed());
    const binary = all.find(({ reason }) => reason === "invalid_utf8");
    expect(binary).toMatchObject({ origin: { topic: TOPIC, partition: 1, offset: 3 }, key: { text: "ORD-1", bytes: 5 } });
    expect(binary?.value).toEqual({ bytes: 3, isCut: false, base64: Buffer.from([0xfe, 0x80, 1]).toString("base64") });
    expect(binary?.redrive).toBe(
      `bun run redrive --partition ${binary?.partition} --offset ${binary?.offset} --topic ${TOPIC} --direct --yes`,
    );
    const text = all.find(({ origin }) => origin.partition === 1 && origin.offset === 2);
    expect(text).toMatchObject({ value: { text: "\uFFFD<b>bold</b>\u0000" }, key: { base64: "/wA=" } });
  });

  test("are the same however small the pages are, and are filtered by reason", async () => {
    const whole = await letters();
    const small = await letters("", 1);
    expect(small.letters).toEqual(whole.letters);
    expect(small.pages).toBeGreaterThanOrEqual(4);
    const filtered = await letters("&reason=not_json", 1);
    expect(filtered.letters).toEqual(whole.letters.filter(({ reason }) => reason === "not_json"));
  });

  test("show at most the first bytes of a long value, and no half character", () => {
    expect(shownBytes(Buffer.from("€".repeat(1_000)))).toEqual({ bytes: 3_000, isCut: true, text: "€".repeat(682) });
    expect(shownBytes(Buffer.alloc(5_000, 0xff))).toMatchObject({ bytes: 5_000, isCut: true });
    expect(shownBytes(null)).toBeNull();
  });
});
