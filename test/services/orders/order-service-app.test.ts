import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { systemClock } from "../../../src/system/clock.ts";
import { AppError, type ErrorCode, errorCatalogue } from "../../../src/errors.ts";
import { InFlight } from "../../../src/http/in-flight.ts";
import { serve } from "../../../src/http/serve.ts";
import { clientShare } from "../../../src/http/permits.ts";
import { orderServiceApp } from "../../../src/services/orders/app.ts";
import type { Live } from "../../../src/services/orders/live/live.ts";
import type { LogScans } from "../../../src/services/orders/query/log-scan.ts";
import { LISTINGS_MAX } from "../../../src/services/orders/query/order-ids-endpoint.ts";
import type { OrderRow, OrdersView } from "../../../src/services/orders/state/orders-view.ts";
import type { Order } from "../../../src/orders/order.ts";
import type { PartitionView, HeldPartitions } from "../../../src/runtime/held-partitions.ts";
import { createLogger } from "../../../src/telemetry/logger.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { ApiDocument } from "../../support/api-document.ts";
import { onlyView } from "../../support/only-view.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Orders by id; undefined for an id that only a held update knows. */
class FakeView implements OrdersView {
  constructor(readonly orders: Map<string, Order | undefined>) {}
  order(orderId: string): Order | undefined {
    return this.orders.get(orderId);
  }
  #sorted: string[] | undefined;
  hasRow(orderId: string): boolean {
    return this.orders.has(orderId);
  }
  counts() {
    return { orders: this.orders.size, held: 0 };
  }
  orderIdsAfter(after: string, limit: number): string[] {
    this.#sorted ??= [...this.orders.keys()].toSorted();
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#sorted[middle] ?? "") <= after) low = middle + 1;
      else high = middle;
    }
    return this.#sorted.slice(low, low + limit);
  }
  heldUpdates(): number {
    return 0;
  }

  rowsAfter(after: string, limit: number): OrderRow[] {
    return this.orderIdsAfter(after, limit).map((orderId) => {
      const known = this.orders.get(orderId);
      return {
        orderId,
        order: known,
        held: known ? [] : [{ type: "ORDER_STATUS_UPDATED", status: "pending" }],
        eventIds: [`e-${orderId}`],
      };
    });
  }
}

type FakePartition = Mutable<PartitionView> & { waits: [offset: number, wait_ms_max: number][] };

const partition = (
  number: number,
  orders: [string, Order | undefined][] = [],
  more: Partial<FakePartition> = {},
): FakePartition => ({
  partition: number,
  state: "running",
  nextOffset: 10,
  endOffset: 10,
  halted: undefined,
  hindered: undefined,
  isComplete: (more.state ?? "running") === "running",
  isLagging: false,
  doubt: undefined,
  leaderEpoch: 0,
  startedAt: 0,
  digest: undefined,
  view: onlyView(new FakeView(new Map(orders))),
  waits: [],
  queryError: (e) => new AppError("STORE_FAILED", String(e)),
  reached(offset, wait_ms_max) {
    this.waits.push([offset, wait_ms_max]);
    return Promise.resolve(this.nextOffset >= offset);
  },
  ...more,
});

const order = (orderId: string, more: Partial<Order> = {}): Order => ({
  orderId,
  customerId: "CUST-00001",
  orderDate: "2026-11-22T21:42:39.413708Z",
  items: [{ itemId: "ITEM-001", quantity: 3, price_hundredths: 5000 }],
  total_hundredths: 15_000,
  currency: "USD",
  status: "confirmed",
  ...more,
});

type FakeSet = Mutable<Pick<HeldPartitions, "partitionCount" | "membership" | "readFailure" | "standstill" | "restore">>;

const fake: FakeSet & { list: FakePartition[] } = {
  partitionCount: 0,
  membership: "stable",
  readFailure: undefined,
  standstill: undefined,
  restore: undefined,
  list: [],
};
const partitions: HeldPartitions = {
  get partitionCount() {
    return fake.partitionCount;
  },
  get membership() {
    return fake.membership;
  },
  get readFailure() {
    return fake.readFailure;
  },
  get standstill() {
    return fake.standstill;
  },
  get restore() {
    return fake.restore;
  },
  held: () => fake.list,
  get: (number) => fake.list.find((held) => held.partition === number),
};

/** The order's number, modulo: so a test says where an order belongs. */
const partitionOf = (orderId: string, partitionCount: number) => Number(orderId.slice(4)) % partitionCount;

let logged: string[] = [];
const inFlight = new InFlight(100);
const service = serve(
  orderServiceApp({
    partitions,
    partitionOf,
    log_name: "in memory",
    orders_topic: "orders.events",
    dead_letter_topic: "orders.events.dlq",
    operator_token: undefined,
    rebuild: () => undefined,
    read_wait_ms_max: 1_234,
    // Of these nothing is asked here.
    scans: {} as LogScans,
    live: {} as Live,
    cart: undefined,
    inFlight,
    host: "127.0.0.1",
    allowed_hosts: [],
    clock: systemClock,
    logger: createLogger({ level: "info", format: "json", write: (line) => logged.push(line) }),
  }),
  { host: "127.0.0.1", port: 0, portSetting: "ORDER_PORT", shutdown_wait_ms_max: 1_000, inFlight, clock: systemClock },
);
afterAll(() => service.stop());

const { ask } = await ApiDocument.of(service.url);

const hold = (list: FakePartition[], partitionCount = list.length, membership = "stable") =>
  Object.assign(fake, { list, partitionCount, membership, readFailure: undefined, standstill: undefined, restore: undefined });
beforeEach(() => {
  logged = [];
  hold([partition(0), partition(1)]);
});

const details = (orderId: string, position?: string) =>
  ask(`${service.url}/order-details?orderId=${orderId}`, position === undefined ? {} : { headers: { "log-position": position } });
const listingUrl = `${service.url}/getAllOrderIdsFromTopic?topicName=`;
const listing = (topicName = "orders.events") => ask(listingUrl + topicName);

const expectProblem = async (response: Response, code: ErrorCode): Promise<Record<string, unknown>> => {
  const { status, title } = errorCatalogue[code];
  const body = (await response.json()) as Record<string, unknown>;
  expect(body).toMatchObject({ title, status, code });
  expect(response.status).toBe(status);
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  expect(response.headers.has("retry-after")).toBe(status === 503);
  return body;
};

describe("GET /order-details", () => {
  test("the contract's JSON to the letter, for both spellings of the id", async () => {
    hold([partition(0), partition(1, [["ORD-123", order("ORD-123")]])]);
    for (const id of ["ORD-123", "123"]) {
      const response = await details(id);
      expect(response.status).toBe(200);
      expect(response.headers.get("content-type")).toBe("application/json");
      expect(await response.text()).toBe(
        '{"order":{"orderId":"ORD-123","customerId":"CUST-00001","orderDate":"2026-11-22T21:42:39.413708Z",' +
          '"items":[{"itemId":"ITEM-001","quantity":3,"price":50.00}],"totalAmount":150.00,"currency":"USD","status":"confirmed"},' +
          '"shippingCost":3.00}',
      );
    }
  });

  test("strings are escaped, cents and a foreign total kept", async () => {
    const strange = order("ORD-1", {
      customerId: 'a"\\\n\u2028ü🎈',
      items: [
        { itemId: '"', quantity: 1, price_hundredths: 5 },
        { itemId: "b", quantity: 1, price_hundredths: 101 },
      ],
      total_hundredths: 123_543,
    });
    hold([partition(0), partition(1, [["ORD-1", strange]])]);
    const text = await (await details("1")).text();
    expect(text).toContain('"price":0.05}');
    expect(text).toContain('"price":1.01}');
    expect(text).toContain('"totalAmount":1235.43,');
    expect(text).toEndWith('"shippingCost":24.71}');
    expect(JSON.parse(text).order).toMatchObject({ customerId: strange.customerId, items: [{ itemId: '"' }, { itemId: "b" }] });
  });

  test("an order in another partition than the partitioner's is found", async () => {
    hold([partition(0, [["ORD-1", order("ORD-1")]]), partition(1)]);
    expect((await details("1")).status).toBe(200);
  });

  test("of two orders with one id, the one where the partitioner puts it", async () => {
    hold([
      partition(0, [["ORD-1", order("ORD-1", { status: "new" })]]),
      partition(1, [["ORD-1", order("ORD-1", { status: "shipped" })]]),
    ]);
    expect(await (await details("1")).json()).toMatchObject({ order: { status: "shipped" } });
  });

  test.each(["", "x", "ORD-", "ord-1", "-1", "1%0a", "1%20", "%ff", "1".repeat(65)])("422 for the id %j", async (id) => {
    const problem = await expectProblem(await details(id), "INVALID_FIELD");
    expect(problem.detail).toStartWith("orderId must be 1 to 64 digits");
  });

  test("422 without an id, and with two", async () => {
    await expectProblem(await ask(`${service.url}/order-details`), "INVALID_FIELD");
    hold([partition(0, [["ORD-1", order("ORD-1")]])]);
    expect(await expectProblem(await details("1&orderId=2"), "INVALID_FIELD")).toMatchObject({ errors: [{ field: "orderId" }] });
    await expectProblem(await details("&orderId=1"), "INVALID_FIELD");
    expect((await details("1&orderId=1")).status).toBe(200);
  });

  test("404 where all partitions are held and running", async () => {
    hold([partition(0), partition(1, [["ORD-1", undefined]])]);
    expect(await expectProblem(await details("1"), "ORDER_NOT_FOUND")).toMatchObject({ orderId: "ORD-1" });
  });

  test.each(["created", "catching-up", "draining", "stopped"] as const)(
    "503 where a partition is %s, never 404",
    async (state) => {
      hold([partition(0, [], { state, nextOffset: 4 }), partition(1)]);
      expect(await expectProblem(await details("1"), "CATCHING_UP")).toMatchObject({
        partition: 0,
        nextOffset: 4,
        endOffset: 10,
      });
    },
  );

  test("503 with the reason while the log cannot be read, never 404; what is found is answered", async () => {
    hold([partition(0), partition(1, [["ORD-1", order("ORD-1")]])]);
    fake.readFailure = "Reading fails: grant READ.";
    expect((await expectProblem(await details("2"), "LOG_UNAVAILABLE")).detail).toEndWith(fake.readFailure);
    await expectProblem(await listing(), "LOG_UNAVAILABLE");
    expect((await details("1")).status).toBe(200);
  });

  test("what is found is answered while catching up", async () => {
    hold([
      partition(0, [], { state: "catching-up", view: () => undefined }),
      partition(1, [["ORD-1", order("ORD-1")]], { state: "catching-up" }),
    ]);
    expect((await details("1")).status).toBe(200);
  });

  test("503 where a partition is halted, with the reason", async () => {
    hold([partition(0), partition(1, [], { state: "halted", halted: "Do this." })]);
    const problem = await expectProblem(await details("1"), "PARTITION_HALTED");
    expect(problem).toMatchObject({ partition: 1, detail: "Partition 1 is halted: Do this." });
  });

  test("404 also while something hinders another partition of which all is known", async () => {
    for (const state of ["running", "suspended", "blocked"] as const) {
      hold([partition(0, [], { state, hindered: "It waits.", isComplete: true }), partition(1)]);
      await expectProblem(await details("1"), "ORDER_NOT_FOUND");
    }
    hold([partition(0, [], { hindered: "It has no leader.", isComplete: false }), partition(1)]);
    await expectProblem(await details("1"), "LOG_UNAVAILABLE");
  });

  test("503 CATCHING_UP where what the log was heard to have seconds ago is not applied", async () => {
    hold([partition(0), partition(1, [], { isLagging: true, nextOffset: 3 })]);
    expect(await expectProblem(await details("1"), "CATCHING_UP")).toMatchObject({ partition: 1, nextOffset: 3, endOffset: 10 });
  });

  test.each<[ErrorCode, Partial<FakePartition>]>([
    ["PARTITION_BLOCKED", { state: "suspended", hindered: "It waits.", isComplete: true }],
    ["PARTITION_BLOCKED", { state: "blocked", hindered: "It waits.", isComplete: true }],
    ["LOG_UNAVAILABLE", { hindered: "It waits." }],
    ["CATCHING_UP", { doubt: "It waits." }],
  ])("503 %s where the order's own partition waits, with the cause; what is found in another is answered", async (code, more) => {
    hold([partition(0), partition(1, [], more)]);
    expect(await expectProblem(await details("1"), code)).toMatchObject({
      partition: 1,
      detail: expect.stringContaining("It waits."),
    });
    hold([partition(0, [["ORD-1", order("ORD-1")]]), partition(1, [], more)]);
    expect((await details("1")).status).toBe(200);
  });

  test("what is found where something hinders the partition is answered, but not where it is in doubt or halted", async () => {
    const found: [string, Order][] = [["ORD-1", order("ORD-1")]];
    hold([partition(0), partition(1, found, { state: "blocked", hindered: "It waits." })]);
    expect((await details("1")).status).toBe(200);
    hold([partition(0), partition(1, found, { doubt: "The leader changed." })]);
    await expectProblem(await details("1"), "CATCHING_UP");
    hold([partition(0), partition(1, found, { doubt: "The leader changed.", hindered: "It is gone." })]);
    await expectProblem(await details("1"), "LOG_UNAVAILABLE");
    hold([partition(0, found, { state: "halted", halted: "Do this." }), partition(1)]);
    await expectProblem(await details("1"), "PARTITION_HALTED");
  });

  test("404 says which partitions do not begin with the log", async () => {
    hold([partition(0, [], { startedAt: 7 }), partition(1)]);
    const { detail } = await expectProblem(await details("1"), "ORDER_NOT_FOUND");
    expect(detail).toBe(
      "There is no order ORD-1. What the log had lost before is not known here: partition 0 from offset 7 on was read.",
    );
  });

  test("503 with the cause where nothing is assigned because the log or the group refuses", async () => {
    hold([], 0, "joining");
    fake.readFailure = "The group refuses.";
    expect((await expectProblem(await details("1"), "LOG_UNAVAILABLE")).detail).toContain("The group refuses.");
    await expectProblem(await listing(), "LOG_UNAVAILABLE");
  });

  test("421 with the partition where the partitioner's is elsewhere, never 404", async () => {
    hold([partition(0)], 3);
    expect(await expectProblem(await details("1"), "PARTITION_ELSEWHERE")).toMatchObject({ partition: 1, partitions: [1, 2] });
  });

  test("421 with the others where the partitioner's is here", async () => {
    hold([partition(1)], 3);
    const problem = await expectProblem(await details("1"), "PARTITION_ELSEWHERE");
    expect(problem.partitions).toEqual([0, 2]);
    expect(problem).not.toHaveProperty("partition");
  });

  test("421 from a member that holds nothing", async () => {
    hold([], 2);
    expect(await expectProblem(await details("1"), "PARTITION_ELSEWHERE")).toMatchObject({ partition: 1, partitions: [0, 1] });
  });

  test.each([
    [0, "stable"],
    [0, "joining"],
    [2, "joining"],
    [2, "waiting"],
    [2, "left"],
  ])("503 while nothing is known: %d partitions, %s", async (partitionCount, membership) => {
    hold([], partitionCount, membership);
    await expectProblem(await details("1"), "CATCHING_UP");
    await expectProblem(await details("1", "0:1"), "CATCHING_UP");
    await expectProblem(await listing(), "CATCHING_UP");
  });
});

describe("Log-Position", () => {
  test("waits until the record at the offset is applied", async () => {
    let apply = () => {};
    const applied = new Promise<void>((resolve) => (apply = resolve));
    const held = partition(1, [], {
      reached(offset, wait_ms_max) {
        this.waits?.push([offset, wait_ms_max]);
        return applied.then(() => true);
      },
    });
    hold([partition(0), held]);
    let answered = false;
    const response = details("1", "1:10").finally(() => (answered = true));
    await Bun.sleep(30);
    expect(answered).toBe(false);
    expect(held.waits).toEqual([[11, 1_234]]);
    held.view = onlyView(new FakeView(new Map([["ORD-1", order("ORD-1")]])));
    apply();
    expect((await response).status).toBe(200);
  });

  test("does not wait for what is applied", async () => {
    const held = partition(1, [["ORD-1", order("ORD-1")]]);
    hold([partition(0), held]);
    expect((await details("1", "1:9")).status).toBe(200);
    expect(held.waits).toBeEmpty();
  });

  test("waits of one client leave room: beyond its share they are refused at once, and reads that need not wait are answered", async () => {
    let apply = () => {};
    const applied = new Promise<void>((resolve) => (apply = resolve));
    hold([partition(0), partition(1, [["ORD-1", order("ORD-1")]], { reached: () => applied.then(() => true) })]);
    const own_max = clientShare(inFlight.waiting.permits_max);
    const waiting = Array.from({ length: own_max }, () => details("1", "1:10"));
    await waitUntil("for the waits to begin", () => inFlight.requests === own_max);
    expect((await expectProblem(await details("1", "1:10"), "OVERLOADED")).detail).toContain("Log-Position");
    expect([(await details("1")).status, (await details("1", "1:9")).status]).toEqual([200, 200]);
    apply();
    for (const response of await Promise.all(waiting)) expect(response.status).toBe(200);
    expect((await details("1", "1:10")).status).toBe(200);
  });

  test("503 past the bound, also for an order that is known", async () => {
    hold([partition(0), partition(1, [["ORD-1", order("ORD-1")]])]);
    expect(await expectProblem(await details("1", "1:10"), "POSITION_NOT_REACHED")).toMatchObject({
      partition: 1,
      offset: 10,
      nextOffset: 10,
    });
  });

  test.each([
    [10, "Partition 1 has not applied offset 10 yet: as far as is known here the log has nothing there; ask again."],
    [30, "Partition 1 has not applied offset 10 yet: the next offset that it applies is 9; ask again."],
  ])("503 says whether the log has the event, where it ends at %d", async (endOffset, detail) => {
    hold([partition(0), partition(1, [], { nextOffset: 9, endOffset })]);
    expect((await expectProblem(await details("1", "1:10"), "POSITION_NOT_REACHED")).detail).toBe(detail);
  });

  test("421 for a partition that is elsewhere, or is taken away meanwhile", async () => {
    hold([partition(1)], 2);
    expect(await expectProblem(await details("1", "0:1"), "PARTITION_ELSEWHERE")).toMatchObject({ partition: 0 });
    hold([partition(0, [], { reached: () => (hold([partition(1)], 2), Promise.resolve(false)) }), partition(1)]);
    expect(await expectProblem(await details("1", "0:10"), "PARTITION_ELSEWHERE")).toMatchObject({ partition: 0 });
  });

  test("503 for a partition that is halted or not known yet", async () => {
    hold([partition(0), partition(1, [], { state: "halted", halted: "Do this." })]);
    await expectProblem(await details("1", "1:10"), "PARTITION_HALTED");
    await expectProblem(await details("1", "2:0"), "POSITION_NOT_REACHED");
  });

  test.each(["", "1", "1:", ":1", "a:b", "1:-1", "1:1.5", "1:9007199254740991", "1:2:3", "1:1, 1:2"])(
    "400 for %j",
    async (header) => {
      await expectProblem(await details("1", header), "LOG_POSITION_INVALID");
    },
  );
});

describe("GET /getAllOrderIdsFromTopic", () => {
  test("each id once though it is in two partitions, also one without a create", async () => {
    hold([
      partition(0, [
        ["ORD-1", order("ORD-1")],
        ["ORD-3", undefined],
      ]),
      partition(1, [
        ["ORD-1", undefined],
        ["ORD-2", order("ORD-2")],
      ]),
    ]);
    const response = await listing();
    expect(response.status).toBe(200);
    expect(response.headers.has("partitions-elsewhere")).toBe(false);
    expect(response.headers.get("x-accel-buffering")).toBe("no");
    expect(await response.text()).toBe('{"topicName":"orders.events","orderIds":["ORD-1","ORD-2","ORD-3"]}');
  });

  test("no orders, and no partitions assigned", async () => {
    expect(await (await listing()).text()).toBe('{"topicName":"orders.events","orderIds":[]}');
    hold([], 2);
    const response = await listing();
    expect(response.headers.get("partitions-elsewhere")).toBe("0,1");
    expect(await response.json()).toEqual({ topicName: "orders.events", orderIds: [] });
  });

  test("a topic never consumed gives an empty list, whatever the state", async () => {
    hold([], 0, "joining");
    const response = await listing("other%22topic");
    expect([response.status, await response.text()]).toEqual([200, '{"topicName":"other\\"topic","orderIds":[]}']);
  });

  test("422 without a topic, and with two", async () => {
    await expectProblem(await listing(""), "INVALID_FIELD");
    await expectProblem(await listing("a&topicName=b"), "INVALID_FIELD");
    await expectProblem(await ask(`${service.url}/getAllOrderIdsFromTopic`), "INVALID_FIELD");
  });

  test("503 while a partition is catching up or halted", async () => {
    hold([partition(0), partition(1, [], { state: "catching-up" })]);
    await expectProblem(await listing(), "CATCHING_UP");
    hold([partition(0), partition(1, [], { state: "halted" })]);
    await expectProblem(await listing(), "PARTITION_HALTED");
    hold([partition(0), partition(1, [], { state: "blocked", hindered: "It waits." })]);
    await expectProblem(await listing(), "PARTITION_BLOCKED");
    hold([partition(0), partition(1, [], { doubt: "The leader changed." })]);
    await expectProblem(await listing(), "CATCHING_UP");
    hold([partition(0), partition(1, [], { hindered: "It has no leader." })]);
    expect((await listing()).status).toBe(200);
  });

  test("the partitions that are elsewhere are named", async () => {
    hold([partition(0, [["ORD-1", undefined]]), partition(2)], 5);
    const response = await listing();
    expect(response.headers.get("partitions-elsewhere")).toBe("1,3,4");
    expect(await response.json()).toMatchObject({ orderIds: ["ORD-1"] });
  });

  /** `count` ids, each third one in a second partition too. */
  const many = (count: number): FakePartition[] => {
    const orders: [string, undefined][][] = [[], [], [], []];
    for (let i = 0; i < count; i++) {
      orders[i % 4]?.push([`ORD-${i}`, undefined]);
      if (i % 3 === 0) orders[(i + 1) % 4]?.push([`ORD-${i}`, undefined]);
    }
    return orders.map((list, number) => partition(number, list));
  };
  const ENDLESS_IDS = 100_000_000;
  /** More ids than any test reads, and none in memory. */
  const endless = (): { pages: number; list: FakePartition[] } => {
    const counter: { pages: number; list: FakePartition[] } = { pages: 0, list: [] };
    const orderIdsAfter = (after: string, limit: number): string[] => {
      counter.pages++;
      const first = after === "" ? 0 : Number(after.slice(4)) + 1;
      const length = Math.min(limit, ENDLESS_IDS - first);
      return Array.from({ length }, (_, i) => `ORD-${String(first + i).padStart(9, "0")}`);
    };
    counter.list.push(
      partition(0, [], {
        view: onlyView({
          order: () => undefined,
          hasRow: () => false,
          counts: () => ({ orders: 0, held: 0 }),
          orderIdsAfter,
          rowsAfter: () => [],
        } satisfies OrdersView),
      }),
    );
    return counter;
  };
  const LISTING_REQUEST = "GET /getAllOrderIdsFromTopic?topicName=orders.events HTTP/1.1\r\nHost: localhost\r\n\r\n";
  /** A client that reads the first bytes of a listing and no more. */
  const stalledClient = (): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const socket = connect(service.port, "127.0.0.1", () => socket.write(LISTING_REQUEST));
      socket.on("error", reject);
      socket.once("data", (data) => {
        socket.pause();
        if (data.toString().startsWith("HTTP/1.1 200 ")) resolve(socket);
        else reject(new Error(data.toString()));
      });
    });

  test("100,000 ids in ascending order, each once", async () => {
    hold(many(100_000));
    const { orderIds } = (await (await listing()).json()) as { orderIds: string[] };
    const expected = Array.from({ length: 100_000 }, (_, i) => `ORD-${i}`).toSorted();
    expect(orderIds.length).toBe(expected.length);
    expect(Bun.hash(orderIds.join())).toBe(Bun.hash(expected.join()));
  });

  test("a client that does not read stops the reading, and one that goes away ends it", async () => {
    const counter = endless();
    hold(counter.list);
    const socket = await stalledClient();
    // What the system's buffers hold is read, and no more.
    const read = await waitUntil("for the reading to stop", async () => {
      const before = counter.pages;
      await Bun.sleep(300);
      return counter.pages === before && before;
    });
    expect(read).toBeLessThan(ENDLESS_IDS / 1_000 / 10);
    socket.destroy();
    await Bun.sleep(100);
    expect(counter.pages).toBe(read);
  });

  test("listings of one client beyond its bound get 503, and one that was left frees its place", async () => {
    hold(endless().list);
    const own_max = clientShare(LISTINGS_MAX);
    const clients = await Promise.all(Array.from({ length: own_max }, stalledClient));
    await expectProblem(await listing(), "OVERLOADED");
    for (const client of clients) client.destroy();
    await Bun.sleep(200);
    const again = await Promise.all(Array.from({ length: own_max }, stalledClient));
    for (const client of again) client.destroy();
    await Bun.sleep(200);
    hold([partition(0)]);
    for (let i = 0; i < 2 * LISTINGS_MAX; i++) expect(await (await listing()).json()).toMatchObject({ orderIds: [] });
  });

  test("a partition taken away in the middle breaks the transfer off: a part is never taken for the whole", async () => {
    hold(endless().list);
    const response = await fetch(`${listingUrl}orders.events`);
    const reader = response.body?.getReader();
    await reader?.read();
    hold([], 1);
    const rest = async () => {
      while (!(await reader?.read())?.done);
    };
    await expect(rest()).rejects.toThrow();
    expect(logged.join()).toContain("broken off");
  });
});

describe("/health/ready", () => {
  const ready = async () => {
    const response = await ask(`${service.url}/health/ready`);
    return [response.status, await response.json()];
  };

  test("503 with the gravest of the states that partitions are in", async () => {
    const list = [
      partition(0, [], { state: "suspended", hindered: "It is locked." }),
      partition(1, [], { state: "blocked", hindered: "It has no right." }),
      partition(2, [], { state: "halted", halted: "Do this." }),
      partition(3, [], { hindered: "It has no leader." }),
    ];
    hold(list);
    expect(await ready()).toEqual([503, expect.objectContaining({ status: "halted", reason: "It is locked." })]);
    hold(list.filter(({ state }) => state !== "halted"));
    expect(await ready()).toEqual([503, expect.objectContaining({ status: "blocked" })]);
    hold(list.slice(0, 1));
    expect(await ready()).toEqual([503, expect.objectContaining({ status: "suspended" })]);
    expect((await ask(`${service.url}/health/live`)).status).toBe(200);
    hold([partition(0), ...list.slice(3)]);
    expect(await ready()).toEqual([200, expect.objectContaining({ status: "ready", reason: "It has no leader." })]);
  });

  test("not ready while none that can be read has caught up", async () => {
    hold([partition(0, [], { state: "catching-up", hindered: "It has no leader." })]);
    expect(await ready()).toEqual([503, expect.objectContaining({ status: "catching-up" })]);
    hold([partition(0), partition(1, [], { state: "catching-up" })]);
    expect(await ready()).toEqual([503, expect.objectContaining({ status: "catching-up" })]);
  });

  test("200 where all held partitions run, and where none is assigned", async () => {
    hold([partition(0, [], { nextOffset: 7 })], 2);
    expect(await ready()).toEqual([
      200,
      { status: "ready", log: "in memory", partitions: [{ partition: 0, state: "running", offset: 7, end: 10, lag: 3 }] },
    ]);
    hold([], 2);
    expect(await ready()).toEqual([200, { status: "ready", log: "in memory", partitions: [] }]);
  });

  test("503 with the reason while the log cannot be read, whatever else there is to say", async () => {
    hold([partition(0)]);
    fake.readFailure = "Reading fails: grant READ.";
    expect(await ready()).toMatchObject([503, { status: "unreadable", reason: fake.readFailure }]);
    fake.membership = "joining";
    expect(await ready()).toMatchObject([503, { status: "joining", reason: fake.readFailure }]);
  });

  test("503 while joining, before the topic is known, while one catches up, and where one is halted", async () => {
    hold([partition(0)], 2, "joining");
    expect(await ready()).toMatchObject([503, { status: "joining" }]);
    hold([], 0);
    expect(await ready()).toMatchObject([503, { status: "catching-up" }]);
    hold([partition(0, [], { state: "catching-up" }), partition(1)]);
    expect(await ready()).toMatchObject([503, { status: "catching-up" }]);
    hold([partition(0, [], { state: "halted", halted: "Do this." }), partition(1)]);
    expect(await ready()).toMatchObject([503, { status: "halted", partitions: [{ halted: "Do this." }, {}] }]);
  });
});
