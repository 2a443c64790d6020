import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { cartApp } from "../../../src/services/cart/app.ts";
import type { CartCommands, CreateOrder, RequestContext, UpdateStatus } from "../../../src/services/cart/commands/commands.ts";
import { systemClock } from "../../../src/system/clock.ts";
import { AppError } from "../../../src/errors.ts";
import type { Readiness } from "../../../src/http/health.ts";
import { InFlight } from "../../../src/http/in-flight.ts";
import { serve } from "../../../src/http/serve.ts";
import { createLogger } from "../../../src/telemetry/logger.ts";
import { ApiDocument } from "../../support/api-document.ts";
import { expectProblem } from "../../support/problems.ts";

const BODY_BYTES_MAX = 65_536;
const IN_FLIGHT_REQUESTS_MAX = 8;

type Call = { readonly command: CreateOrder | UpdateStatus; readonly context: RequestContext };
let calls: Call[] = [];
let answer: () => Promise<{ partition: number; offset: number }>;
let health: Readiness;
let logged: string[] = [];

const commands: CartCommands = {
  create: (command, context) => (calls.push({ command, context }), answer()),
  updateStatus: (command, context) => (calls.push({ command, context }), answer()),
};
const inFlight = new InFlight(IN_FLIGHT_REQUESTS_MAX);
const service = serve(
  cartApp({
    order_port: 8_001,
    commands,
    health: () => health,
    log_name: "in memory",
    clock: systemClock,
    inFlight,
    body_bytes_max: BODY_BYTES_MAX,
    host: "127.0.0.1",
    allowed_hosts: [],
    orders_topic: "orders.events",
    dead_letter_topic: "orders.events.dlq",
    logger: createLogger({ level: "info", format: "json", write: (line) => logged.push(line) }),
  }),
  { host: "127.0.0.1", port: 0, portSetting: "CART_PORT", shutdown_wait_ms_max: 1_000, inFlight, clock: systemClock },
);
afterAll(() => service.stop());

const { ask } = await ApiDocument.of(service.url);

beforeEach(() => {
  calls = [];
  logged = [];
  answer = () => Promise.resolve({ partition: 3, offset: 17 });
  health = { status: "ready", partitions: [] };
});

const send = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> =>
  ask(service.url + path, {
    method,
    headers: { "content-type": "application/json", ...headers },
    ...(body === undefined
      ? {}
      : { body: typeof body === "string" || body instanceof Uint8Array ? (body as BodyInit) : JSON.stringify(body) }),
  });
const create = (body: unknown, headers?: Record<string, string>) => send("POST", "/create-order", body, headers);
const update = (body: unknown, headers?: Record<string, string>) => send("PUT", "/update-order", body, headers);

describe("POST /create-order", () => {
  test.each([
    { order_id: "123", number_of_items: 3 },
    { orderId: "ORD-123", numberOfItems: 3 },
  ])("a demo cart: %j", async (body) => {
    const response = await create(body);
    expect(response.status).toBe(200);
    expect(await response.text()).toBe('{"message":"order created and published successfully","orderId":"ORD-123"}');
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(response.headers.get("log-position")).toBe("3:17");
    expect(calls).toEqual([{ command: { orderId: "ORD-123", cart: { demoItems: 3 } }, context: {} }]);
  });

  test("the client's own cart, in either spelling, priced in hundredths", async () => {
    await create({
      order_id: "1",
      customer_id: "Zoë 🎈",
      currency: "JPY",
      items: [{ item_id: "a", quantity: 2, price: 10.005 }],
    });
    await create({ orderId: "1", customerId: "Zoë 🎈", currency: "JPY", items: [{ itemId: "a", quantity: 2, price: 10.01 }] });
    const cart = {
      customerId: "Zoë 🎈",
      currency: "JPY" as const,
      items: [{ itemId: "a", quantity: 2, price_hundredths: 1001 }],
    };
    expect(calls.map((call) => call.command)).toEqual([
      { orderId: "ORD-1", cart },
      { orderId: "ORD-1", cart },
    ]);
  });

  test("without customer and currency: no customer, USD; number_of_items may repeat how many items there are", async () => {
    expect((await create({ order_id: "1", number_of_items: 1, items: [{ item_id: "a", quantity: 1, price: 0 }] })).status).toBe(
      200,
    );
    expect(calls[0]?.command).toEqual({
      orderId: "ORD-1",
      cart: { currency: "USD", items: [{ itemId: "a", quantity: 1, price_hundredths: 0 }] },
    });
  });

  test("a demo cart takes the customer and the currency that the client names", async () => {
    await create({ order_id: "1", number_of_items: 2, customerId: "c", currency: "EUR" });
    expect(calls[0]?.command).toEqual({ orderId: "ORD-1", cart: { demoItems: 2, customerId: "c", currency: "EUR" } });
  });

  test("the same field twice with the same value is fine", async () => {
    expect((await create('{"order_id":"1","orderId":"1","number_of_items":2,"number_of_items":3,"unknown":null}')).status).toBe(
      200,
    );
    expect(calls[0]?.command).toEqual({ orderId: "ORD-1", cart: { demoItems: 3 } });
  });

  const item = { item_id: "a", quantity: 1, price: 1 };
  const invalid: [body: unknown, field: string, sentence: string | RegExp][] = [
    [{ order_id: "1", number_of_items: 0 }, "number_of_items", "number_of_items must be an integer from 1 to 1000."],
    [{ order_id: "1", number_of_items: 1001 }, "number_of_items", "number_of_items must be an integer from 1 to 1000."],
    [{ order_id: "1", number_of_items: 1.5 }, "number_of_items", "number_of_items must be an integer from 1 to 1000."],
    [{ order_id: "1", numberOfItems: "3" }, "number_of_items", "number_of_items must be an integer from 1 to 1000."],
    [{ order_id: "1" }, "number_of_items", /or items must be sent/],
    [{ number_of_items: 3 }, "order_id", /^order_id must be a string of 1 to 64 digits/],
    [{ order_id: 123, number_of_items: 3 }, "order_id", /^order_id must be a string/],
    [{ order_id: "ORD-", number_of_items: 3 }, "order_id", /^order_id must/],
    [{ order_id: "ORD-1\n", number_of_items: 3 }, "order_id", /^order_id must/],
    [{ order_id: "١", number_of_items: 3 }, "order_id", /^order_id must/],
    [{ order_id: "1".repeat(65), number_of_items: 3 }, "order_id", /^order_id must/],
    [
      { order_id: "1", orderId: "2", number_of_items: 3 },
      "order_id",
      "order_id and orderId are one field; they must not differ.",
    ],
    [{ order_id: "1", orderId: null, number_of_items: 3 }, "order_id", /must not differ/],
    [{ order_id: "1", items: [{ ...item, itemId: "b" }] }, "item_id", /must not differ/],
    [{ order_id: "1", items: [] }, "items", /^items must be a list of 1 to 1000 /],
    [{ order_id: "1", items: Array.from({ length: 1001 }, () => item) }, "items", /^items must be a list of 1 to 1000 /],
    [{ order_id: "1", items: {} }, "items", /^items must be a list/],
    [{ order_id: "1", items: [null] }, "items[0]", /^items\[0\] must be an object/],
    [
      { order_id: "1", items: [item, { ...item, quantity: 0 }] },
      "items[1].quantity",
      "items[1].quantity must be an integer from 1 to 1000000.",
    ],
    [{ order_id: "1", items: [{ ...item, price: -0.01 }] }, "items[0].price", /must be a number from 0 to/],
    ['{"order_id":"1","items":[{"item_id":"a","quantity":1,"price":1e400}]}', "items[0].price", /must be a number from 0 to/],
    [{ order_id: "1", items: [{ ...item, item_id: "a\u0007" }] }, "items[0].item_id", /without control characters/],
    [{ order_id: "1", items: [{ ...item, quantity: 1e6, price: 1e12 }] }, "items", /add up/],
    [{ order_id: "1", items: [item], number_of_items: 2 }, "number_of_items", /which is 1\.$/],
    [{ order_id: "1", items: [item], currency: "usd" }, "currency", /^currency must be one of USD, EUR/],
    [{ order_id: "1", items: [item], customer_id: "" }, "customer_id", /^customer_id must be a string of 1 to 128/],
    [{ order_id: "1", number_of_items: 3, customer_id: 7 }, "customer_id", /^customer_id must be a string/],
    [[], "", "The body must be a JSON object."],
    ["null", "", "The body must be a JSON object."],
    ['"text"', "", "The body must be a JSON object."],
  ];
  test.each(invalid)("422 for %j", async (body, field, sentence) => {
    const problem = await expectProblem(await create(body), "INVALID_FIELD");
    expect(problem.detail).toMatch(sentence);
    expect(problem.errors).toMatchObject([{ field }]);
    expect(calls).toBeEmpty();
  });

  test("422 names every field that is wrong", async () => {
    const problem = await expectProblem(await create({ order_id: "x", number_of_items: -1 }), "INVALID_FIELD");
    expect(problem.errors).toMatchObject([{ field: "order_id" }, { field: "number_of_items" }]);
  });

  const refusals = [
    "ORDER_EXISTS",
    "IDEMPOTENCY_KEY_IN_USE",
    "IDEMPOTENCY_KEY_REUSED",
    "LOG_UNAVAILABLE",
    "APPEND_OUTCOME_UNKNOWN",
    "EVENT_TOO_LARGE",
    "APPEND_REFUSED",
    "PARTITION_BLOCKED",
    "OVERLOADED",
  ] as const;
  test.each(refusals)("what the command refuses with %s is its problem", async (code) => {
    const extra = code === "ORDER_EXISTS" ? { orderId: "ORD-1" } : {};
    answer = () => Promise.reject(new AppError(code, "Because.", { ...extra, status: 200 }));
    const problem = await expectProblem(await create({ order_id: "1", number_of_items: 1 }), code);
    expect(problem).toMatchObject({ detail: "Because.", ...extra });
  });

  test.each([
    ["an unknown exception", () => new Error("select * from /secret/path")],
    ["a failure of ours", () => new AppError("STORE_FAILED", "cannot write /secret/path", { path: "/secret/path" })],
  ] as const)("%s is 500, logged and not shown", async (_, error) => {
    answer = () => Promise.reject(error());
    const problem = await expectProblem(await create({ order_id: "1", number_of_items: 1 }), "INTERNAL");
    expect(JSON.stringify(problem)).not.toContain("secret");
    expect(logged.join()).toContain("/secret/path");
  });
});

describe("PUT /update-order", () => {
  test.each(["new", "pending", "confirmed", "processing", "shipped", "cancelled"])("status %s", async (status) => {
    const response = await update({ order_id: "ORD-123", status });
    expect(response.status).toBe(200);
    expect(await response.text()).toBe('{"message":"order status updated and published successfully","orderId":"ORD-123"}');
    expect(response.headers.get("log-position")).toBe("3:17");
    expect(calls).toMatchObject([{ command: { orderId: "ORD-123", status } }]);
  });

  test("camelCase", async () => {
    expect((await update({ orderId: "7", status: "shipped" })).status).toBe(200);
    expect(calls).toMatchObject([{ command: { orderId: "ORD-7", status: "shipped" } }]);
  });

  test("422 for an unknown status", async () => {
    const problem = await expectProblem(await update({ order_id: "1", status: "Confirmed" }), "INVALID_FIELD");
    expect(problem.detail).toBe("status must be one of new, pending, confirmed, processing, shipped, cancelled.");
  });

  test("404", async () => {
    answer = () => Promise.reject(new AppError("ORDER_NOT_FOUND", "There is no order ORD-1.", { orderId: "ORD-1" }));
    await expectProblem(await update({ order_id: "1", status: "new" }), "ORDER_NOT_FOUND");
  });
});

describe("Idempotency-Key", () => {
  const fingerprintOf = async (request: () => Promise<Response>): Promise<string | undefined> => {
    calls = [];
    expect((await request()).status).toBe(200);
    return calls[0]?.context.idempotency?.fingerprint;
  };
  const key = { "idempotency-key": '"k"' };

  test.each([
    ['"8e03978e-40d5"', "8e03978e-40d5"],
    ["8e03978e-40d5", "8e03978e-40d5"],
    ['"a b;,=\\"\\\\"', 'a b;,="\\'],
    [`"${"x".repeat(255)}"`, "x".repeat(255)],
    ["x".repeat(255), "x".repeat(255)],
  ])("%s is a key", async (header, expected) => {
    expect((await create({ order_id: "1", number_of_items: 1 }, { "idempotency-key": header })).status).toBe(200);
    expect(calls[0]?.context.idempotency?.key).toBe(expected);
    expect(calls[0]?.context.idempotency?.fingerprint).toMatch(/^[0-9a-f]{32}$/);
  });

  test.each([
    "",
    '""',
    '"',
    '"a',
    'a"b',
    '"a"b',
    '"a\\b"',
    "a b",
    '"a", "b"',
    "a,b",
    "ü",
    '"\u0080"',
    "x".repeat(256),
    `"${"x".repeat(256)}"`,
  ])("%j is not", async (header) => {
    await expectProblem(
      await create({ order_id: "1", number_of_items: 1 }, { "idempotency-key": header }),
      "IDEMPOTENCY_KEY_INVALID",
    );
    expect(calls).toBeEmpty();
  });

  test("the fingerprint is the same for every spelling of one request, and for no other request", async () => {
    const same = [
      { order_id: "1", items: [{ item_id: "a", quantity: 1, price: 1 }] },
      { items: [{ price: 1.001, itemId: "a", quantity: 1 }], orderId: "ORD-1", currency: "USD", number_of_items: 1, note: "x" },
    ];
    const other = [
      { order_id: "2", items: [{ item_id: "a", quantity: 1, price: 1 }] },
      { order_id: "1", items: [{ item_id: "a", quantity: 1, price: 1.01 }] },
      { order_id: "1", items: [{ item_id: "a", quantity: 2, price: 1 }] },
      { order_id: "1", items: [{ item_id: "b", quantity: 1, price: 1 }] },
      { order_id: "1", currency: "EUR", items: [{ item_id: "a", quantity: 1, price: 1 }] },
      { order_id: "1", customer_id: "c", items: [{ item_id: "a", quantity: 1, price: 1 }] },
      { order_id: "1", number_of_items: 1 },
      { order_id: "1", number_of_items: 2 },
      { order_id: "1", number_of_items: 2, currency: "EUR" },
      { order_id: "1", number_of_items: 2, customer_id: "c" },
    ];
    const prints = [];
    for (const body of [...same, ...other]) prints.push(await fingerprintOf(() => create(body, key)));
    for (const status of ["new", "shipped"]) prints.push(await fingerprintOf(() => update({ order_id: "1", status }, key)));
    expect(prints[0]).toBe(prints[1]);
    expect(new Set(prints).size).toBe(prints.length - 1);
  });
});

describe("traceparent", () => {
  const valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  test("is passed on, a later version as version 00", async () => {
    await create({ order_id: "1", number_of_items: 1 }, { traceparent: valid });
    await create({ order_id: "1", number_of_items: 1 }, { traceparent: `cc${valid.slice(2)}-more` });
    expect(calls.map((call) => call.context)).toEqual([{ traceparent: valid }, { traceparent: valid }]);
  });

  test("takes tracestate with it, which is nothing without it or malformed", async () => {
    const order = { order_id: "1", number_of_items: 1 };
    await create(order, { traceparent: valid, tracestate: "a=1, b=2" });
    await create(order, { traceparent: valid, tracestate: "A=1" });
    await create(order, { traceparent: "nonsense", tracestate: "a=1" });
    expect(calls.map((call) => call.context)).toEqual([
      { traceparent: valid, tracestate: "a=1,b=2" },
      { traceparent: valid },
      {},
    ]);
  });

  test.each([
    "",
    "nonsense",
    valid.toUpperCase(),
    `${valid}-more`,
    `ff${valid.slice(2)}`,
    valid.replace(/-4bf[^-]*/, `-${"0".repeat(32)}`),
    valid.replace(/-00f[^-]*/, `-${"0".repeat(16)}`),
  ])("%j is as good as none", async (traceparent) => {
    expect((await create({ order_id: "1", number_of_items: 1 }, { traceparent })).status).toBe(200);
    expect(calls[0]?.context).toEqual({});
  });
});

describe("health", () => {
  test("live", async () => {
    const response = await ask(`${service.url}/health/live`);
    expect([response.status, await response.text()]).toEqual([200, '{"status":"live"}']);
  });

  test("ready, and not", async () => {
    expect((await ask(`${service.url}/health/ready`)).status).toBe(200);
    health = { status: "catching-up", partitions: [{ partition: 0, state: "catching-up", offset: 1, end: 3, lag: 2 }] };
    const response = await ask(`${service.url}/health/ready`);
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("1");
    expect(await response.json()).toEqual({ ...health, log: "in memory" });
  });
});

test("requests beyond the bound get 503 at once, health is answered, and all is well when the others are done", async () => {
  let release = () => {};
  const gate = new Promise<void>((resolve) => (release = resolve));
  answer = () => gate.then(() => ({ partition: 0, offset: 0 }));
  const waiting = Array.from({ length: IN_FLIGHT_REQUESTS_MAX }, () => create({ order_id: "1", number_of_items: 1 }));
  while (calls.length < IN_FLIGHT_REQUESTS_MAX) await Bun.sleep(1);
  await expectProblem(await create({ order_id: "1", number_of_items: 1 }), "OVERLOADED");
  expect((await ask(`${service.url}/health/live`)).status).toBe(200);
  release();
  for (const response of await Promise.all(waiting)) expect(response.status).toBe(200);
  expect((await create({ order_id: "1", number_of_items: 1 })).status).toBe(200);
  expect(inFlight.requests).toBe(0);
});
