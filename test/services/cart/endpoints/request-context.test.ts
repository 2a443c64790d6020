import { describe, expect, test } from "bun:test";
import { expectProblem } from "../../../support/http/problems.ts";
import { fakeCartService } from "../fake-cart-service.ts";

const { fake, create, update } = await fakeCartService();

describe("Idempotency-Key", () => {
  const fingerprintOf = async (request: () => Promise<Response>): Promise<string | undefined> => {
    fake.calls = [];
    expect((await request()).status).toBe(200);
    return fake.calls[0]?.context.idempotency?.fingerprint;
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
    expect(fake.calls[0]?.context.idempotency?.key).toBe(expected);
    expect(fake.calls[0]?.context.idempotency?.fingerprint).toMatch(/^[0-9a-f]{32}$/);
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
    expect(fake.calls).toBeEmpty();
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
    // A request may be sent again after an upgrade.
    expect(prints[0]).toBe("e0e685559f8bf9e99361905b5615da35");
    expect(new Set(prints).size).toBe(prints.length - 1);
  });
});

describe("traceparent", () => {
  const valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  test("is passed on", async () => {
    await create({ order_id: "1", number_of_items: 1 }, { traceparent: valid });
    expect(fake.calls.map((call) => call.context)).toEqual([{ traceparent: valid }]);
  });

  test("of a later version is passed on as version 00", async () => {
    await create({ order_id: "1", number_of_items: 1 }, { traceparent: `cc${valid.slice(2)}-more` });
    expect(fake.calls.map((call) => call.context)).toEqual([{ traceparent: valid }]);
  });

  test.each([
    ["takes tracestate with it", { traceparent: valid, tracestate: "a=1, b=2" }, { traceparent: valid, tracestate: "a=1,b=2" }],
    ["leaves a malformed tracestate", { traceparent: valid, tracestate: "A=1" }, { traceparent: valid }],
    ["that is none takes no tracestate with it", { traceparent: "nonsense", tracestate: "a=1" }, {}],
  ])("%s", async (_, headers, context) => {
    await create({ order_id: "1", number_of_items: 1 }, headers);
    expect(fake.calls.map((call) => call.context)).toEqual([context]);
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
    expect(fake.calls[0]?.context).toEqual({});
  });
});
