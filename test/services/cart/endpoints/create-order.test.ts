import { describe, expect, test } from "bun:test";
import { AppError } from "../../../../src/errors.ts";
import { expectProblem } from "../../../support/http/problems.ts";
import { fakeCartService } from "../fake-cart-service.ts";

const { fake, create } = await fakeCartService();

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
    expect(fake.calls).toEqual([{ command: { orderId: "ORD-123", cart: { demoItems: 3 } }, context: {} }]);
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
    expect(fake.calls.map((call) => call.command)).toEqual([
      { orderId: "ORD-1", cart },
      { orderId: "ORD-1", cart },
    ]);
  });

  test("without customer and currency: no customer, USD; number_of_items may repeat how many items there are", async () => {
    expect((await create({ order_id: "1", number_of_items: 1, items: [{ item_id: "a", quantity: 1, price: 0 }] })).status).toBe(
      200,
    );
    expect(fake.calls[0]?.command).toEqual({
      orderId: "ORD-1",
      cart: { currency: "USD", items: [{ itemId: "a", quantity: 1, price_hundredths: 0 }] },
    });
  });

  test("a demo cart takes the customer and the currency that the client names", async () => {
    await create({ order_id: "1", number_of_items: 2, customerId: "c", currency: "EUR" });
    expect(fake.calls[0]?.command).toEqual({ orderId: "ORD-1", cart: { demoItems: 2, customerId: "c", currency: "EUR" } });
  });

  test("the same field twice with the same value is fine", async () => {
    expect((await create('{"order_id":"1","orderId":"1","number_of_items":2,"number_of_items":3,"unknown":null}')).status).toBe(
      200,
    );
    expect(fake.calls[0]?.command).toEqual({ orderId: "ORD-1", cart: { demoItems: 3 } });
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
    expect(fake.calls).toBeEmpty();
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
    fake.answer = () => Promise.reject(new AppError(code, "Because.", { ...extra, status: 200 }));
    const problem = await expectProblem(await create({ order_id: "1", number_of_items: 1 }), code);
    expect(problem).toMatchObject({ detail: "Because.", ...extra });
  });

  test.each([
    ["an unknown exception", () => new Error("select * from /secret/path")],
    ["a failure of ours", () => new AppError("STORE_FAILED", "cannot write /secret/path", { path: "/secret/path" })],
  ] as const)("%s is 500, fake.logged and not shown", async (_, error) => {
    fake.answer = () => Promise.reject(error());
    const problem = await expectProblem(await create({ order_id: "1", number_of_items: 1 }), "INTERNAL");
    expect(JSON.stringify(problem)).not.toContain("secret");
    expect(fake.logged.join()).toContain("/secret/path");
  });
});
