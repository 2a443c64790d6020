import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import type { ErrorCode } from "../../../../src/errors.ts";
import { clientShare } from "../../../../src/http/permits.ts";
import { LISTINGS_MAX } from "../../../../src/services/orders/listing/order-ids-endpoint.ts";
import type { OrdersView } from "../../../../src/services/orders/state/orders-view.ts";
import { onlyView } from "../../../support/stores/only-view.ts";
import { anOrder } from "../../../support/events/orders.ts";
import { expectProblem } from "../../../support/http/problems.ts";
import { waitUntil } from "../../../support/wait-until.ts";
import { type FakePartition, fakeOrderService, partition } from "../fake-order-service.ts";

const { ask, fake, hold, listing, listingUrl, logged, port, stop, url } = await fakeOrderService();
afterAll(stop);
beforeEach(() => void hold([partition(0), partition(1)]));

describe("GET /getAllOrderIdsFromTopic", () => {
  test("each id once though it is in two partitions, also one without a create", async () => {
    hold([partition(0, [anOrder(), "ORD-3"]), partition(1, ["ORD-1", anOrder({ orderId: "ORD-2" })])]);
    const response = await listing();
    expect(response.status).toBe(200);
    expect(response.headers.has("partitions-elsewhere")).toBe(false);
    expect(response.headers.get("x-accel-buffering")).toBe("no");
    expect(await response.text()).toBe('{"topicName":"orders.events","orderIds":["ORD-1","ORD-2","ORD-3"]}');
  });

  test("an empty list where there are no orders", async () => {
    expect(await (await listing()).text()).toBe('{"topicName":"orders.events","orderIds":[]}');
  });

  test("an empty list where no partitions are assigned", async () => {
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

  test("422 without a topic", async () => {
    await expectProblem(await listing(""), "INVALID_FIELD");
    await expectProblem(await ask(`${url}/getAllOrderIdsFromTopic`), "INVALID_FIELD");
  });

  test("422 with two topics", async () => {
    await expectProblem(await listing("a&topicName=b"), "INVALID_FIELD");
  });

  test("503 while the log cannot be read", async () => {
    fake.readFailure = "Reading fails: grant READ.";
    await expectProblem(await listing(), "LOG_UNAVAILABLE");
  });

  test("503 where nothing is assigned because the log or the group refuses", async () => {
    hold([], 0, "joining");
    fake.readFailure = "The group refuses.";
    await expectProblem(await listing(), "LOG_UNAVAILABLE");
  });

  test.each([
    [0, "joining"],
    [2, "joining"],
    [2, "waiting"],
    [2, "left"],
  ])("503 while nothing is known: %d partitions, %s", async (partitionCount, membership) => {
    hold([], partitionCount, membership);
    await expectProblem(await listing(), "CATCHING_UP");
  });

  test.each<[ErrorCode, Partial<FakePartition>]>([
    ["CATCHING_UP", { state: "catching-up" }],
    ["PARTITION_HALTED", { state: "halted" }],
    ["PARTITION_BLOCKED", { state: "blocked", hindered: "It waits." }],
    ["CATCHING_UP", { doubt: "The leader changed." }],
  ])("503 %s while a partition is %j", async (code, more) => {
    hold([partition(0), partition(1, [], more)]);
    await expectProblem(await listing(), code);
  });

  test("the ids are listed where something hinders a partition of which all is known", async () => {
    hold([partition(0), partition(1, [], { hindered: "It has no leader." })]);
    expect((await listing()).status).toBe(200);
  });

  test("the partitions that are elsewhere are named", async () => {
    hold([partition(0, ["ORD-1"]), partition(2)], 5);
    const response = await listing();
    expect(response.headers.get("partitions-elsewhere")).toBe("1,3,4");
    expect(await response.json()).toMatchObject({ orderIds: ["ORD-1"] });
  });

  /** `count` ids, every third of which is in a second partition too. */
  const many = (count: number): FakePartition[] => {
    const orders: string[][] = [[], [], [], []];
    for (let i = 0; i < count; i++) {
      orders[i % 4]?.push(`ORD-${i}`);
      if (i % 3 === 0) orders[(i + 1) % 4]?.push(`ORD-${i}`);
    }
    return orders.map((list, number) => partition(number, list));
  };
  const ENDLESS_IDS = 100_000_000;
  /** More ids than any test reads, none of them held in memory. */
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
      const socket = connect(port, "127.0.0.1", () => socket.write(LISTING_REQUEST));
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
    // The service reads as much as the system's buffers hold, and no more.
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
