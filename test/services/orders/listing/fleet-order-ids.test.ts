import { describe, expect, test } from "bun:test";
import pino from "pino";
import { AppError } from "../../../../src/errors.ts";
import { Fleet } from "../../../../src/fleet/fleet.ts";
import type { HeldPartitions } from "../../../../src/runtime/held-partitions.ts";
import { httpApp } from "../../../../src/http/app.ts";
import { InFlight } from "../../../../src/http/in-flight.ts";
import { problemResponse } from "../../../../src/http/problem.ts";
import { FleetOrderIds } from "../../../../src/services/orders/listing/fleet-order-ids.ts";
import { orderIds } from "../../../../src/services/orders/listing/order-ids-endpoint.ts";
import { orderIdsPage } from "../../../../src/services/orders/listing/merged-order-ids.ts";
import { systemClock } from "../../../../src/system/clock.ts";
import { type FakePartition, partition } from "../fake-order-service.ts";

const logger = pino({ level: "silent" });

/** What members hold: a member's name → its partitions. Each has its own view of the topic's four partitions. */
type Shares = Readonly<Record<string, readonly FakePartition[]>>;

const heldBy = (list: readonly FakePartition[], membership = "stable"): HeldPartitions => ({
  partitionCount: 4,
  membership,
  readFailure: undefined,
  standstill: undefined,
  restore: undefined,
  held: () => list,
  get: (number) => list.find((one) => one.partition === number),
});

const ids = (...numbers: number[]): string[] => numbers.map((n) => `ORD-${n}`);

/** A listing by the member `me` in pages of two ids; what peers are asked goes to `shares` as it is then. */
function listing(first: Shares) {
  const now = { shares: first, failing: new Map<string, AppError>(), asked: [] as string[] };
  const fleet = new Fleet({
    secret: "s".repeat(32),
    topic: "orders",
    session_timeout_ms: 10_000,
    transport: async ({ url }) => {
      const { hostname, searchParams } = new URL(url);
      now.asked.push(`${hostname} ${searchParams.get("partitions")} after ${searchParams.get("after")}`);
      const response = await answerOf(hostname, searchParams);
      return { status: response.status, headers: response.headers, text: await response.text() };
    },
    clock: systemClock,
    logger,
  });
  const newest = { requireApplied: () => Promise.resolve() };
  const answerOf = async (member: string, query: URLSearchParams): Promise<Response> => {
    const failing = now.failing.get(member);
    if (failing) return problemResponse(failing, logger);
    try {
      const numbers = query.get("partitions")!.split(",").map(Number);
      return Response.json({
        orderIds: await orderIdsPage(
          heldBy(now.shares[member] ?? []),
          newest,
          numbers,
          query.get("after")!,
          Number(query.get("limit")),
        ),
      });
    } catch (e) {
      return problemResponse(e, logger);
    }
  };
  const assign = (shares: Shares) => {
    now.shares = shares;
    const members = Object.entries(shares).map(([id, list]) => ({
      id,
      endpoint: `http://${id}`,
      partitions: list.map((one) => one.partition),
      standbys: [],
    }));
    fleet.assigned({ memberId: "me", partitions: [], standbys: [], members });
  };
  fleet.begin("log-1");
  assign(first);
  const mine: HeldPartitions = {
    ...heldBy([]),
    held: () => now.shares["me"] ?? [],
    get: (number) => now.shares["me"]?.find((one) => one.partition === number),
  };
  const listed = new FleetOrderIds(4, {
    partitions: mine,
    newest,
    fleet,
    clock: systemClock,
    page_ids_max: 2,
  });
  const read = async (count = Number.POSITIVE_INFINITY): Promise<string[]> => {
    const all: string[] = [];
    while (all.length < count) {
      const next = listed.next();
      if (next === undefined) await listed.load();
      else if (next.done) break;
      else all.push(next.value);
    }
    return all;
  };
  return { now, assign, read, fleet, mine };
}

const zero = partition(0, ids(1, 4, 7));
const one = partition(1, ids(2, 3, 5));
const two = partition(2, ids(6, 8));
const three = partition(3, ids(4, 9));

describe("a listing of all ids", () => {
  test("is a merge of what each member holds, in order, each id once though it is in two partitions", async () => {
    const { read, now } = listing({ me: [zero], b: [one, two], c: [three] });
    expect(await read()).toEqual(ids(1, 2, 3, 4, 5, 6, 7, 8, 9));
    // Two ids at a time, and no page for what has no more.
    const asked = ["b 1,2 after ", "c 3 after ", "b 1,2 after ORD-3", "c 3 after ORD-9", "b 1,2 after ORD-6"];
    expect(now.asked.toSorted()).toEqual(asked.toSorted());
  });

  test("goes on where partitions are by now, after the last id that was told", async () => {
    const { read, assign } = listing({ me: [zero], b: [one, two], c: [three] });
    const told = await read(4);
    assign({ me: [zero, one], b: [], c: [two, three] });
    expect([...told, ...(await read())]).toEqual(ids(1, 2, 3, 4, 5, 6, 7, 8, 9));
  });

  test("waits for a new owner that is still reading, and asks it again", async () => {
    const { read, assign } = listing({ me: [zero], b: [one, two], c: [three] });
    const told = await read(3);
    const late = partition(1, ids(2, 3), { state: "catching-up", hasBeenComplete: false });
    assign({ me: [zero], b: [two], c: [late, three] });
    setTimeout(() => assign({ me: [zero], b: [two], c: [one, three] }), 300);
    expect([...told, ...(await read())]).toEqual(ids(1, 2, 3, 4, 5, 6, 7, 8, 9));
  });

  test("is of the new owners if partitions move while a member that held them all looks where the log ends", async () => {
    const { assign, fleet, mine } = listing({ me: [zero, one, two, three], b: [] });
    const move = () => Promise.resolve(assign({ me: [zero], b: [one, two, three] }));
    const options = { partitions: mine, newest: { requireApplied: move }, fleet, orders_topic: "orders" };
    const endpoint = orderIds({ ...options, clock: systemClock, logger });
    const app = httpApp([endpoint], new InFlight(10), logger, { clock: systemClock });
    const answer = await app.handle(new Request("http://localhost/getAllOrderIdsFromTopic?topicName=orders"));
    const told = { topicName: "orders", orderIds: ids(1, 2, 3, 4, 5, 6, 7, 8, 9) };
    expect([answer.status, await answer.json()]).toEqual([200, told]);
  });

  test.each([
    ["CATCHING_UP", true],
    ["OVERLOADED", false],
  ] as const)("that is %s at its beginning is asked for again: %p", async (code, isAgain) => {
    const { read, now } = listing({ me: [zero], b: [one, two], c: [three] });
    now.failing.set("b", new AppError(code, "Not now."));
    setTimeout(() => now.failing.clear(), 150);
    const told = await read().catch((e: unknown) => (e as AppError).code);
    expect(told).toEqual(isAgain ? ids(1, 2, 3, 4, 5, 6, 7, 8, 9) : code);
  });

  test("is broken off by a partition that a person must look at", async () => {
    const { read, assign } = listing({ me: [zero], b: [one, two], c: [three] });
    await read(3);
    const halted = partition(1, [], { state: "halted", halted: "Do this." });
    assign({ me: [zero], b: [halted, two], c: [three] });
    await expect(read()).rejects.toMatchObject({ code: "PARTITION_HALTED" });
  });

  test.each([
    ["PARTITION_HALTED", partition(1, ids(2), { state: "halted", halted: "Do this." })],
    ["CATCHING_UP", partition(1, ids(2), { state: "catching-up" })],
    ["CATCHING_UP", partition(1, ids(2), { doubt: "The leader changed." })],
    ["CATCHING_UP", partition(1, ids(2), { isLagging: true })],
  ] as const)("is not begun while one answers %s", async (code, unfit) => {
    await expect(listing({ me: [zero], b: [unfit, two], c: [three] }).read(1)).rejects.toMatchObject({ code });
    await expect(listing({ me: [zero, unfit], b: [two], c: [three] }).read(1)).rejects.toMatchObject({ code });
  });

  test("that has begun goes on over what hinders a partition for a moment", async () => {
    const { read, assign } = listing({ me: [zero], b: [one, two], c: [three] });
    const told = await read(3);
    assign({ me: [zero], b: [partition(1, ids(2, 3, 5), { isLagging: true, hindered: "It has no leader." }), two], c: [three] });
    expect([...told, ...(await read())]).toEqual(ids(1, 2, 3, 4, 5, 6, 7, 8, 9));
  });

  test("is not begun while an owner is not told or does not answer", async () => {
    await expect(listing({ me: [zero], b: [one, two] }).read(1)).rejects.toMatchObject({ code: "CATCHING_UP" });
    const { read, now } = listing({ me: [zero], b: [one, two], c: [three] });
    now.failing.set("c", new AppError("SHUTTING_DOWN", "It is stopping."));
    await expect(read(1)).rejects.toMatchObject({ code: "OWNER_UNREACHABLE" });
  });
});
