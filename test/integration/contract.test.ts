import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { brokerSuite } from "../support/brokers/broker.ts";
import { type Backing, brokerBacking, embeddedBacking, readAll, totalLength } from "../support/brokers/foreign.ts";
import { pythonCreate, pythonUpdate } from "../support/events/python-events.ts";
import { createOrder, orderDetails, orderIds, updateOrder } from "../support/http/http.ts";
import { type Program, startProgram } from "../support/programs/processes.ts";
import { waitUntil } from "../support/wait-until.ts";
import { expectHeaders, readAsForeigner, UUID, ZONED_DATE } from "./wire-records.ts";

const start_ms_max = 60_000;

/** The contract as clients and other programs see it: one program, HTTP on one side and the topic on the other. */
function contractSuite(open: () => Promise<Backing>): void {
  let backing: Backing;
  let program: Program;
  beforeAll(async () => {
    backing = await open();
    program = await startProgram({ env: backing.env, dataDir: backing.dataDir });
    await program.ready();
  }, start_ms_max);
  afterAll(async () => {
    await program[Symbol.asyncDispose]();
    await backing[Symbol.asyncDispose]();
  });

  let lastId = 1_000;
  const newId = () => String(++lastId);
  const positionOf = (answer: { headers: Headers }) => answer.headers.get("log-position") ?? "";
  const after = (answer: { headers: Headers }) => ({ "log-position": positionOf(answer) });
  const details = async (orderId: string, answer: { headers: Headers }) => {
    const read = await orderDetails(program.orderUrl, orderId, after(answer));
    expect(read.status).toBe(200);
    return read.body;
  };

  test("create and update answer with the contract's messages, in both spellings", async () => {
    const created = await createOrder(program.cartUrl, { order_id: "123", number_of_items: 3 });
    expect([created.status, created.body]).toEqual([
      200,
      { message: "order created and published successfully", orderId: "ORD-123" },
    ]);
    expect(created.headers.get("content-type")).toStartWith("application/json");
    const camel = await createOrder(program.cartUrl, { orderId: "ORD-124", numberOfItems: 1 });
    expect([camel.status, camel.body]).toEqual([
      200,
      { message: "order created and published successfully", orderId: "ORD-124" },
    ]);
    const updated = await updateOrder(program.cartUrl, { order_id: "ORD-123", status: "confirmed" });
    expect([updated.status, updated.body]).toEqual([
      200,
      { message: "order status updated and published successfully", orderId: "ORD-123" },
    ]);
    const camelUpdate = await updateOrder(program.cartUrl, { orderId: "124", status: "shipped" });
    expect([camelUpdate.status, camelUpdate.body.orderId]).toEqual([200, "ORD-124"]);
    expect((await details("ORD-123", updated)).order?.status).toBe("confirmed");
    expect((await details("124", camelUpdate)).order?.status).toBe("shipped");
  });

  test("a cart without items is filled as a demo, within its ranges", async () => {
    const { order, shippingCost } = await details(
      "200",
      await createOrder(program.cartUrl, { order_id: "200", number_of_items: 200 }),
    );
    if (!order) throw new Error("There is no order in the answer.");
    expect(Object.keys(order)).toEqual(["orderId", "customerId", "orderDate", "items", "totalAmount", "currency", "status"]);
    expect([order.orderId, order.currency, order.status]).toEqual(["ORD-200", "USD", "new"]);
    expect(order.customerId).toMatch(/^CUST-\d{5}$/);
    expect(order.orderDate).toMatch(ZONED_DATE);
    expect(order.items).toHaveLength(200);
    let total_hundredths = 0;
    for (const { itemId, quantity, price } of order.items) {
      expect(itemId).toMatch(/^ITEM-\d{3}$/);
      expect([quantity >= 1, quantity <= 10, Number.isInteger(quantity)]).toEqual([true, true, true]);
      expect([price >= 10, price <= 100]).toEqual([true, true]);
      total_hundredths += quantity * Math.round(price * 100);
    }
    expect(new Set(order.items.map(({ quantity }) => quantity)).size).toBe(10);
    expect(Math.round(order.totalAmount * 100)).toBe(total_hundredths);
    expect(Math.round((shippingCost ?? 0) * 100)).toBe(Math.floor((total_hundredths * 2 + 50) / 100));
  });

  test("a client's own cart is kept, and money has two decimals in every currency", async () => {
    const items = [
      { item_id: 'SKU "ä"', quantity: 2, price: 50 },
      { itemId: "SKU-2", quantity: 1, price: 50.005 },
    ];
    const created = await createOrder(program.cartUrl, { order_id: "201", customer_id: "me", currency: "JPY", items });
    const raw = await fetch(`${program.orderUrl}/order-details?orderId=201`, { headers: after(created) });
    const text = await raw.text();
    // The answer is compared as text, because a parsed 150.00 is 150. Rounding is half up: 50.005 is 50.01, and 2 % of
    // 150.01 are 3.0002.
    expect(text).toMatch(
      /^\{"order":\{"orderId":"ORD-201","customerId":"me","orderDate":"[^"]+Z","items":\[\{"itemId":"SKU \\"ä\\"","quantity":2,"price":50\.00\},\{"itemId":"SKU-2","quantity":1,"price":50\.01\}\],"totalAmount":150\.01,"currency":"JPY","status":"new"\},"shippingCost":3\.00\}$/,
    );
  });

  test("a demo cart takes the customer and the currency that the client names", async () => {
    const cart = { order_id: "202", number_of_items: 2, customer_id: "me", currency: "EUR" };
    const created = await createOrder(program.cartUrl, cart);
    const { order } = (await orderDetails(program.orderUrl, "202", after(created))).body;
    expect([order?.customerId, order?.currency, order?.items.length]).toEqual(["me", "EUR", 2]);
  });

  test("each refusal has its status and is a problem with a sentence", async () => {
    const id = newId();
    await createOrder(program.cartUrl, { order_id: id, number_of_items: 1 });
    const item = { item_id: "I", quantity: 1, price: 1 };
    const send = async (method: string, path: string, body?: string, contentType = "application/json") =>
      fetch(`${path.startsWith("/order-d") || path.startsWith("/getAll") ? program.orderUrl : program.cartUrl}${path}`, {
        method,
        ...(body !== undefined && { body, headers: { "content-type": contentType } }),
      });
    const create = (body: unknown) => send("POST", "/create-order", JSON.stringify(body));
    const update = (body: unknown) => send("PUT", "/update-order", JSON.stringify(body));
    const cases: [what: string, status: number, answer: Promise<Response>][] = [
      ["the order exists", 409, create({ order_id: `ORD-${id}`, number_of_items: 2 })],
      ["no such order to update", 404, update({ order_id: "999999", status: "new" })],
      ["no such order to read", 404, send("GET", "/order-details?orderId=999999")],
      ["no such path", 404, send("GET", "/orders")],
      ["no such method", 405, send("DELETE", "/create-order")],
      ["an order id of letters", 422, create({ order_id: "ORD-x", number_of_items: 1 })],
      ["an order id as number", 422, create({ order_id: 5, number_of_items: 1 })],
      ["an empty order id", 422, create({ order_id: "", number_of_items: 1 })],
      ["a lower-case prefix", 422, create({ order_id: "ord-5", number_of_items: 1 })],
      ["digits that are not ASCII", 422, create({ order_id: "٣", number_of_items: 1 })],
      ["a newline behind the id", 422, create({ order_id: "5\n", number_of_items: 1 })],
      ["no items at all", 422, create({ order_id: "5" })],
      ["zero items", 422, create({ order_id: "5", number_of_items: 0 })],
      ["half an item", 422, create({ order_id: "5", number_of_items: 1.5 })],
      ["an empty list of items", 422, create({ order_id: "5", items: [] })],
      ["a negative price", 422, create({ order_id: "5", items: [{ ...item, price: -1 }] })],
      ["a negative quantity", 422, create({ order_id: "5", items: [{ ...item, quantity: -1 }] })],
      ["an unknown currency", 422, create({ order_id: "5", currency: "XXX", items: [item] })],
      ["an unknown status", 422, update({ order_id: id, status: "lost" })],
      ["two spellings that differ", 422, update({ order_id: id, orderId: "1", status: "new" })],
      ["a list", 422, create([])],
      ["an order id of letters to read", 422, send("GET", "/order-details?orderId=x")],
      ["no order id to read", 422, send("GET", "/order-details")],
      ["no topic", 422, send("GET", "/getAllOrderIdsFromTopic")],
      ["not JSON", 400, send("POST", "/create-order", "{")],
      ["nothing", 400, send("POST", "/create-order", "")],
      ["too large", 413, create({ order_id: "5", number_of_items: 1, padding: "x".repeat(65_536) })],
      ["not JSON's type", 415, send("POST", "/create-order", "{}", "text/plain")],
    ];
    for (const [what, status, answer] of cases) {
      const response = await answer;
      const problem = (await response.json()) as Record<string, unknown>;
      expect([what, response.status, response.headers.get("content-type"), problem["status"]]).toEqual([
        what,
        status,
        "application/problem+json",
        status,
      ]);
      expect([what, typeof problem["type"], typeof problem["title"]]).toEqual([what, "string", "string"]);
      expect([what, problem["detail"]]).toEqual([what, expect.stringMatching(/^.*[a-z].* .*\.$/)]);
    }
    for (const order_id of ["5", "ORD-5"]) expect((await orderDetails(program.orderUrl, order_id)).status).toBe(404);
  });

  test("with the Log-Position of a create its client reads its own write at once, 100 times", async () => {
    for (let i = 0; i < 100; i++) {
      const id = newId();
      const created = await createOrder(program.cartUrl, { order_id: id, number_of_items: 1 });
      expect(positionOf(created)).toMatch(/^\d+:\d+$/);
      expect((await orderDetails(program.orderUrl, id, after(created))).status).toBe(200);
    }
    const [partition, offset] = positionOf(await createOrder(program.cartUrl, { order_id: newId(), number_of_items: 1 })).split(
      ":",
    );
    const before_ms = performance.now();
    const never = await orderDetails(program.orderUrl, "1001", { "log-position": `${partition}:${Number(offset) + 1_000}` });
    const waited_ms = performance.now() - before_ms;
    expect([never.status, never.headers.get("retry-after")]).toEqual([503, "1"]);
    expect(waited_ms).toBeWithin(1_900, 4_000);
    expect((await orderDetails(program.orderUrl, "1001", { "log-position": "here" })).status).toBe(400);
  }, 30_000);

  test("a retry with its Idempotency-Key answers as the first did and adds nothing", async () => {
    const id = newId();
    const createKey = { "idempotency-key": `"create-${id}"` };
    const created = await createOrder(program.cartUrl, { order_id: id, number_of_items: 2 }, createKey);
    const before = await totalLength(backing.log, backing.topic);
    const again = await createOrder(program.cartUrl, { orderId: `ORD-${id}`, numberOfItems: 2 }, createKey);
    expect([again.status, again.body, positionOf(again)]).toEqual([200, created.body, positionOf(created)]);
    expect((await createOrder(program.cartUrl, { order_id: id, number_of_items: 3 }, createKey)).status).toBe(422);
    expect((await createOrder(program.cartUrl, { order_id: newId(), number_of_items: 2 }, createKey)).status).toBe(422);
    expect(await totalLength(backing.log, backing.topic)).toBe(before);

    const updateKey = { "idempotency-key": `"update-${id}"` };
    const updated = await updateOrder(program.cartUrl, { order_id: id, status: "shipped" }, updateKey);
    expect(updated.status).toBe(200);
    await updateOrder(program.cartUrl, { order_id: id, status: "cancelled" });
    const updatedAgain = await updateOrder(program.cartUrl, { order_id: id, status: "shipped" }, updateKey);
    expect([updatedAgain.status, updatedAgain.body, positionOf(updatedAgain)]).toEqual([200, updated.body, positionOf(updated)]);
    expect((await updateOrder(program.cartUrl, { order_id: id, status: "new" }, updateKey)).status).toBe(422);
    // An update may not reuse the key of a create.
    expect((await updateOrder(program.cartUrl, { order_id: id, status: "new" }, createKey)).status).toBe(422);
    expect(await totalLength(backing.log, backing.topic)).toBe(before + 2);
    const last = await updateOrder(program.cartUrl, { order_id: id, status: "cancelled" });
    expect((await details(id, last)).order?.status).toBe("cancelled");
    expect(
      (await createOrder(program.cartUrl, { order_id: newId(), number_of_items: 1 }, { "idempotency-key": '""' })).status,
    ).toBe(400);
  });

  test("a record on the wire has the contract's key, fields and headers", async () => {
    const id = newId();
    const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const items = [{ item_id: "I", quantity: 3, price: 411.81 }];
    await createOrder(program.cartUrl, { order_id: id, customer_id: "C", currency: "EUR", items }, { traceparent });
    await updateOrder(program.cartUrl, { order_id: id, status: "shipped" });
    const wire = await readAsForeigner(backing);
    const [create, update, ...more] = wire.filter(({ key }) => key === `ORD-${id}`);
    if (!create || !update) throw new Error("The two records are not in the topic.");
    expect(more).toEqual([]);
    const created = JSON.parse(create.value) as Record<string, unknown>;
    expect(Object.keys(created)).toEqual(["event_id", "event_type", "timestamp", "order_id", "order"]);
    expect(created["event_id"]).toMatch(UUID);
    expect(created["timestamp"]).toMatch(ZONED_DATE);
    expect([created["event_type"], created["order_id"]]).toEqual(["ORDER_CREATED", `ORD-${id}`]);
    const { order_date, ...order } = created["order"] as Record<string, unknown>;
    expect(String(order_date)).toMatch(ZONED_DATE);
    expect(Object.keys(created["order"] as object)).toEqual([
      "order_id",
      "customer_id",
      "order_date",
      "items",
      "total_amount",
      "currency",
      "status",
    ]);
    expect(order).toEqual({
      order_id: `ORD-${id}`,
      customer_id: "C",
      items: [{ item_id: "I", quantity: 3, price: 411.81 }],
      total_amount: 1235.43,
      currency: "EUR",
      status: "new",
    });
    const updated = JSON.parse(update.value) as Record<string, unknown>;
    expect(Object.keys(updated)).toEqual(["event_id", "event_type", "timestamp", "order_id", "status"]);
    expect([updated["event_type"], updated["order_id"], updated["status"]]).toEqual([
      "ORDER_STATUS_UPDATED",
      `ORD-${id}`,
      "shipped",
    ]);
    expectHeaders(create, created);
    expectHeaders(update, updated);
    expect(create.headers["traceparent"]).toBe(traceparent);
  }, 40_000);

  test("events of the Python predecessor are applied and served, its floats rounded and its dates in UTC", async () => {
    const key = "ORD-777001";
    const partition = 5;
    const createValue = pythonCreate(key);
    await backing.produce([
      { partition, key, value: createValue },
      { partition, key, value: pythonUpdate(key, "pending") },
      // A redelivery and another create of the same order change nothing.
      { partition, key, value: createValue },
      { partition, key, value: pythonCreate(key).replace("CUST-00042", "CUST-99999") },
    ]);
    await waitUntil("the order", async () => (await orderDetails(program.orderUrl, key)).body.order?.status === "pending");
    const text = await (await fetch(`${program.orderUrl}/order-details?orderId=777001`)).text();
    expect(text).toBe(
      `{"order":{"orderId":"ORD-777001","customerId":"CUST-00042","orderDate":"2026-11-22T21:42:39.413708Z","items":[{"itemId":"ITEM-001","quantity":3,"price":411.81}],"totalAmount":1235.43,"currency":"USD","status":"pending"},"shippingCost":24.71}`,
    );
    await waitUntil("the cart to have read it", async () => {
      const { partitions } = (await (await fetch(`${program.cartUrl}/health/ready`)).json()) as { partitions: { lag: number }[] };
      const { status } = await updateOrder(program.cartUrl, { order_id: key, status: "pending" });
      return status === 200 && partitions.every(({ lag }) => lag === 0);
    });
    expect((await createOrder(program.cartUrl, { order_id: key, number_of_items: 1 })).status).toBe(409);
    const updated = await updateOrder(program.cartUrl, { order_id: key, status: "shipped" });
    expect(positionOf(updated)).toStartWith(`${partition}:`);
    expect((await details(key, updated)).order?.status).toBe("shipped");
  });

  test("the listing has each id once, those of held updates too; of a topic never consumed it is empty", async () => {
    const key = "ORD-777002";
    await backing.produce([
      { partition: 3, key, value: pythonUpdate(key, "pending") },
      { partition: 3, key, value: pythonUpdate(key, "shipped") },
    ]);
    const list = await waitUntil("the held update's id", async () => {
      const { body } = await orderIds(program.orderUrl, backing.topic);
      return body.orderIds?.includes(key) && body;
    });
    expect(list.topicName).toBe(backing.topic);
    const inTopic = new Set((await readAll(backing.log, backing.topic)).map((record) => String(record.key)));
    expect(list.orderIds?.toSorted()).toEqual([...inTopic].toSorted());
    expect((await orderDetails(program.orderUrl, key)).status).toBe(404);
    expect((await updateOrder(program.cartUrl, { order_id: key, status: "new" })).status).toBe(404);
    const unknown = await orderIds(program.orderUrl, 'no "such" topic');
    expect([unknown.status, unknown.body]).toEqual([200, { topicName: 'no "such" topic', orderIds: [] }]);
  });

  test("both services tell each partition's state, offset and lag when ready", async () => {
    const ends = await backing.log.watermarks(backing.topic);
    expect(ends).toHaveLength(12);
    for (const url of [program.cartUrl, program.orderUrl]) {
      const body = await waitUntil("every partition at its end", async () => {
        const response = await fetch(`${url}/health/ready`);
        expect(response.status).toBe(200);
        const now = (await response.json()) as { status: string; partitions: { lag: number; offset: number }[] };
        return now.partitions.every(({ lag, offset }, i) => lag === 0 && offset === ends[i]?.endOffset) && now;
      });
      const expected = ends.map(({ endOffset }, partition) => ({
        partition,
        state: "running",
        offset: endOffset,
        end: endOffset,
        lag: 0,
        ...(url === program.orderUrl ? { digest: expect.stringMatching(/^[0-9a-f]{13}$/) } : {}),
      }));
      const log = expect.stringMatching(/^(?:Kafka at 127|embedded in \/)/);
      expect(body as unknown).toEqual({ status: "ready", log, partitions: expected });
      expect(await (await fetch(`${url}/health/live`)).json()).toEqual({ status: "live" });
    }
  });
}

describe("the contract on the embedded log", () => contractSuite(() => embeddedBacking()));

await brokerSuite("the contract", ({ brokers }) => contractSuite(() => brokerBacking(brokers)));
