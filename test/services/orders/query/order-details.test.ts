import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { ErrorCode } from "../../../../src/errors.ts";
import { orderJson } from "../../../../src/orders/order.ts";
import type { KnownOrder } from "../../../../src/services/orders/query/known-order.ts";
import { anOrder } from "../../../support/events/orders.ts";
import { expectProblem } from "../../../support/http/problems.ts";
import { type FakePartition, fakeOrderService, partition } from "../fake-order-service.ts";

const { ask, details, fake, fleet, hold, stop, url } = await fakeOrderService();
afterAll(stop);
beforeEach(() => void hold([partition(0), partition(1)]));

describe("an owner that is behind the log", () => {
  const behind = (more: Partial<FakePartition>) => partition(1, [anOrder()], { endOffset: 12, age_ms: 3_500, ...more });

  test.each<Partial<FakePartition>>([
    { state: "suspended", hindered: "The disk is full.", isComplete: true },
    { state: "blocked", hindered: "It has no right.", isComplete: true },
    { isLagging: true, hidden: { from: 10, lasting: { sentence: "It is open.", since_ms: 0 } } },
    { isLagging: true },
    // It may have stood still.
    { endOffset: 10, age_ms: 16_500 },
  ])("marks what it tells with its age and position: %j", async (more) => {
    hold([partition(0), behind(more)]);
    const { status, headers } = await details("1");
    const age = String(Math.ceil((more.age_ms ?? 3_500) / 1_000));
    expect([status, headers.get("age"), headers.get("log-position")]).toEqual([200, age, "1:9"]);
  });

  test.each<Partial<FakePartition>>([
    { isLagging: true, age_ms: 2_500 },
    { isLagging: true, hidden: { from: 10 } },
    { isLagging: true, age_ms: undefined },
    { state: "suspended", hindered: "The disk is full.", isComplete: true, endOffset: 10 },
    { endOffset: 10, age_ms: 15_500 },
    {},
  ])("marks nothing while that is not known, or has not lasted: %j", async (more) => {
    hold([partition(0), behind(more)]);
    const { status, headers } = await details("1");
    expect([status, headers.get("age")]).toEqual([200, null]);
  });

  test("marks nothing where a position was asked for and is applied", async () => {
    hold([partition(0), behind({ isLagging: true })]);
    const { status, headers } = await details("1", "1:9");
    expect([status, headers.get("age")]).toEqual([200, null]);
  });
});

describe("GET /order-details", () => {
  test("the contract's JSON to the letter, for both spellings of the id", async () => {
    const order = anOrder({
      orderId: "ORD-123",
      orderDate: "2026-11-22T21:42:39.413708Z",
      items: [{ itemId: "ITEM-001", quantity: 3, price_hundredths: 5_000 }],
      total_hundredths: 15_000,
      status: "confirmed",
    });
    hold([partition(0), partition(1, [order])]);
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
    const strange = anOrder({
      customerId: 'a"\\\n\u2028ü🎈',
      items: [
        { itemId: '"', quantity: 1, price_hundredths: 5 },
        { itemId: "b", quantity: 1, price_hundredths: 101 },
      ],
      total_hundredths: 123_543,
    });
    hold([partition(0), partition(1, [strange])]);
    const text = await (await details("1")).text();
    expect(text).toContain('"price":0.05}');
    expect(text).toContain('"price":1.01}');
    expect(text).toContain('"totalAmount":1235.43,');
    expect(text).toEndWith('"shippingCost":24.71}');
    expect(JSON.parse(text).order).toMatchObject({
      customerId: strange.created.customerId,
      items: [{ itemId: '"' }, { itemId: "b" }],
    });
  });

  test("an order in another partition than the partitioner's is found", async () => {
    hold([partition(0, [anOrder()]), partition(1)]);
    expect((await details("1")).status).toBe(200);
  });

  test("of two orders with one id, the one where the partitioner puts it", async () => {
    hold([partition(0, [anOrder({ status: "new" })]), partition(1, [anOrder({ status: "shipped" })])]);
    expect(await (await details("1")).json()).toMatchObject({ order: { status: "shipped" } });
  });

  test.each(["", "x", "ORD-", "ord-1", "-1", "1%0a", "1%20", "%ff", "1".repeat(65)])("422 for the id %j", async (id) => {
    const problem = await expectProblem(await details(id), "INVALID_FIELD");
    expect(problem.detail).toStartWith("orderId must be 1 to 64 digits");
  });

  test("422 without an id", async () => {
    await expectProblem(await ask(`${url}/order-details`), "INVALID_FIELD");
  });

  test("422 with two ids that differ", async () => {
    hold([partition(0, [anOrder()])]);
    expect(await expectProblem(await details("1&orderId=2"), "INVALID_FIELD")).toMatchObject({ errors: [{ field: "orderId" }] });
    await expectProblem(await details("&orderId=1"), "INVALID_FIELD");
    expect((await details("1&orderId=1")).status).toBe(200);
  });

  test("404 where all partitions are held and running", async () => {
    hold([partition(0), partition(1, ["ORD-1"])]);
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

  test("503 with the reason while the log cannot be read, never 404", async () => {
    fake.readFailure = "Reading fails: grant READ.";
    expect((await expectProblem(await details("2"), "LOG_UNAVAILABLE")).detail).toEndWith(fake.readFailure);
  });

  test("what is found is answered while the log cannot be read", async () => {
    hold([partition(0), partition(1, [anOrder()])]);
    fake.readFailure = "Reading fails: grant READ.";
    expect((await details("1")).status).toBe(200);
  });

  test("what is found is answered while catching up", async () => {
    hold([
      partition(0, [], { state: "catching-up", view: () => undefined }),
      partition(1, [anOrder()], { state: "catching-up" }),
    ]);
    expect((await details("1")).status).toBe(200);
  });

  describe("while the owner has not caught up since it began", () => {
    // The fleet's own is its class's.
    afterEach(() => void Reflect.deleteProperty(fleet, "askFollowers"));
    const begun = { state: "catching-up", hasBeenComplete: false } as const;
    const told: KnownOrder = {
      nextOffset: 9,
      startedAt: 0,
      hasRow: true,
      details: `{"order":${orderJson(anOrder())},"shippingCost":0.00}`,
      doubt: undefined,
      stale: { age_ms: 1_500, mayBeElsewhere: true },
    };

    test.each([
      ["has the order from its store", [anOrder()]],
      ["does not have it", []],
    ])("and %s, its standby tells the order, with its age", async (_, orders) => {
      fleet.askFollowers = (asked) => Promise.resolve(new Map(asked.map((number) => [number, told as never])));
      hold([partition(0), partition(1, orders, begun)]);
      const response = await details("1");
      expect([response.status, response.headers.get("age"), response.headers.get("log-position")]).toEqual([200, "2", "1:8"]);
      await expectProblem(await details("1", "1:9"), "CATCHING_UP");
    });

    test("it is waited for, as it may be able to tell in a moment", async () => {
      const owner = partition(1, [anOrder()], { doubt: "It was just taken over." });
      hold([partition(0), owner]);
      const asked = details("1");
      await Bun.sleep(50);
      expect(Bun.peek.status(asked)).toBe("pending");
      owner.doubt = undefined;
      expect((await asked).status).toBe(200);
    });

    test("it is 503 without a standby", async () => {
      hold([partition(0), partition(1, [anOrder()], begun)]);
      await expectProblem(await details("1"), "CATCHING_UP");
    });
  });

  test("503 where a partition is halted, with the reason", async () => {
    hold([partition(0), partition(1, [], { state: "halted", halted: "Do this." })]);
    const problem = await expectProblem(await details("1"), "PARTITION_HALTED");
    expect(problem).toMatchObject({ partition: 1, detail: "Partition 1 is halted: Do this." });
  });

  test.each(["running", "suspended", "blocked"] as const)(
    "404 also while something hinders another partition, which is %s, where all of it is known",
    async (state) => {
      hold([partition(0, [], { state, hindered: "It waits.", isComplete: true }), partition(1)]);
      await expectProblem(await details("1"), "ORDER_NOT_FOUND");
    },
  );

  test("503 while something hinders another partition of which not all is known", async () => {
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
    hold([partition(0, [anOrder()]), partition(1, [], more)]);
    expect((await details("1")).status).toBe(200);
  });

  test.each(["suspended", "blocked"] as const)(
    "the problem's title says what a partition waits for that is %s",
    async (state) => {
      hold([partition(0), partition(1, [], { state, hindered: "It waits.", isComplete: true })]);
      const { title } = await expectProblem(await details("1"), "PARTITION_BLOCKED");
      expect(title).toContain(state === "suspended" ? "its store" : "its dead letters");
    },
  );

  test("what is found is answered where something hinders the partition", async () => {
    hold([partition(0), partition(1, [anOrder()], { state: "blocked", hindered: "It waits." })]);
    expect((await details("1")).status).toBe(200);
  });

  test.each<[ErrorCode, Partial<FakePartition>]>([
    ["CATCHING_UP", { doubt: "The leader changed." }],
    ["LOG_UNAVAILABLE", { doubt: "The leader changed.", hindered: "It is gone." }],
    ["PARTITION_HALTED", { state: "halted", halted: "Do this." }],
  ])("503 %s although the order is found, where the partition is %j", async (code, more) => {
    hold([partition(0), partition(1, [anOrder()], more)]);
    await expectProblem(await details("1"), code);
  });

  test("503 where the order is found in another partition than its own, and that is halted", async () => {
    hold([partition(0, [anOrder()], { state: "halted", halted: "Do this." }), partition(1)]);
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
  });
});
