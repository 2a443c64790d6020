import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { LogCartCommands } from "../../../src/services/cart/commands/cart-commands.ts";
import type { IndexProgress } from "../../../src/services/cart/index/index-progress.ts";
import type { OrderIndex } from "../../../src/services/cart/index/order-index.ts";
import { OwnCreates } from "../../../src/services/cart/index/own-creates.ts";
import type { Placement } from "../../../src/services/cart/placement/placement.ts";
import { parseCreateOrder } from "../../../src/services/cart/endpoints/create-order.ts";
import { parseUpdateOrder } from "../../../src/services/cart/endpoints/update-order.ts";
import { systemClock } from "../../../src/system/clock.ts";
import { isAppError } from "../../../src/errors.ts";
import { readJson } from "../../../src/http/body.ts";
import { HttpRequest } from "../../../src/http/http-request.ts";
import { UnreadBodies } from "../../../src/http/unread-bodies.ts";
import type { Appender } from "../../../src/log/append/appender.ts";
import type { NewRecord } from "../../../src/log/port.ts";
import { decodeEvent, EVENT_BYTES_MAX } from "../../../src/orders/events/decode.ts";
import { encodeEvent } from "../../../src/orders/events/encode.ts";
import { isPoison } from "../../../src/orders/events/poison.ts";
import { isEventId, isName, NAME_PATTERN, PLAIN_NAME_PATTERN } from "../../../src/orders/names.ts";
import { STATUSES } from "../../../src/orders/order.ts";
import { nowhere } from "../../../src/services/cart/sharing/elsewhere.ts";
import { statusUpdated } from "../../support/events/orders.ts";

/**
 * The cart on a log that takes everything and keeps what is appended. `isKnown`: whether the orders asked for exist.
 */
function cart(isKnown: boolean) {
  const appended: NewRecord[] = [];
  const known = isKnown ? { partition: 0, offset: 0, eventId: "another" } : undefined;
  const index = {
    find: () => known,
    knownEnd: () => 0,
    requireNotBefore: () => undefined,
    firstKnown: (own: { readonly eventId: string } | undefined) => ({ partition: 0, offset: 0, eventId: own?.eventId }),
    noteOwn: () => undefined,
  };
  const commands = new LogCartCommands({
    index: index as unknown as OrderIndex,
    progress: { isComplete: true, isCurrent: () => true, isSound: () => true } as unknown as IndexProgress,
    ownCreates: new OwnCreates(),
    appender: {
      append: (record: NewRecord) => Promise.resolve({ offset: appended.push(record) - 1, leaderEpoch: 0 }),
    } as unknown as Appender,
    placement: { place: () => 0, homes: () => [0] } as unknown as Placement,
    elsewhere: nowhere,
    append_wait_ms_max: 1_000,
    clock: systemClock,
    random: Math.random,
    newUuid: () => crypto.randomUUID(),
  });
  return { appended, commands };
}

const bodies = new UnreadBodies(10, systemClock);
const read = (bytes: Buffer) =>
  readJson(
    HttpRequest.of(
      new Request("http://localhost/create-order", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: new Uint8Array(bytes),
      }),
    ),
    10 * EVENT_BYTES_MAX,
    bodies,
    systemClock,
  );

/**
 * Text as a hostile client may write it: any code units, halves of surrogate pairs included; control characters; text
 * that only looks empty.
 */
const text = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }) },
  { weight: 2, arbitrary: fc.string({ unit: "binary", minLength: 1, maxLength: 128 }) },
  fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 6 }).map((units) => String.fromCharCode(...units)),
  fc.constantFrom("caf\ud83d", "\udc00", "A\udc00\ud800", "😀".repeat(64), "😀".repeat(65), "x".repeat(128), "x".repeat(129)),
  fc.constantFrom("\u0000", "\u0085", "\u2028", "\ufeff", "\u007f", "__proto__", '"\\', "\u200e", " "),
);
/** A number by its notation, not its value. */
const number = (nearby: fc.Arbitrary<number>) =>
  fc.oneof(
    { weight: 6, arbitrary: nearby.map(String) },
    nearby.map((n) => `${n}e0`),
    fc.constantFrom("-0", "0", "-0.0", "1e0", "1e999", "1e-400", "1E3", "9007199254740993", "1.005", "0.30000000000000004"),
    fc.constantFrom("1000000000000", "1000000000000.004", "999999999999.995", "0.005", "1000000", "1000001", '"1"', "null"),
  );
const orderId = fc.oneof(
  { weight: 5, arbitrary: fc.stringMatching(/^(?:ORD-)?[0-9]{1,64}$/) },
  fc.constantFrom("1", "ORD-1", "ORD-", "1\ud800", "١", "1\n", "0".repeat(65)),
);
/** An object such as `{"a":1}`, of names and values that are already in JSON notation. */
const object = (fields: readonly (readonly [name: string, value: string] | undefined)[]) =>
  `{${fields.flatMap((field) => (field ? [`"${field[0]}":${field[1]}`] : [])).join(",")}}`;
const sometimes = (name: fc.Arbitrary<string>, value: fc.Arbitrary<string>) =>
  fc.option(fc.tuple(name, value), { nil: undefined, freq: 3 });
const json = (value: fc.Arbitrary<unknown>) => value.map((each) => JSON.stringify(each));
const odd = sometimes(
  fc.constantFrom("__proto__", "constructor", "note", "customer_id", "status", "total_amount"),
  json(fc.oneof(text, fc.constant({ currency: "XXX", customer_id: "\ud800" }))),
);

const item = fc
  .tuple(
    fc.tuple(fc.constantFrom("item_id", "itemId"), json(text)),
    number(fc.integer({ min: 1, max: 1_000_000 })).map((value) => ["quantity", value] as const),
    number(fc.double({ min: 0, max: 1e6, noNaN: true })).map((value) => ["price", value] as const),
    odd,
  )
  .map(object);
const createBody = fc
  .tuple(
    fc.tuple(fc.constantFrom("order_id", "orderId"), json(orderId)),
    sometimes(fc.constantFrom("number_of_items", "numberOfItems"), number(fc.integer({ min: 1, max: 5 }))),
    sometimes(fc.constantFrom("customer_id", "customerId"), json(text)),
    sometimes(fc.constant("currency"), json(fc.constantFrom("USD", "JPY", "EUR", "COP", "usd"))),
    fc.option(
      fc.tuple(
        fc.constant("items"),
        fc.array(item, { minLength: 1, maxLength: 4 }).map((all) => `[${all.join(",")}]`),
      ),
      {
        nil: undefined,
        freq: 2,
      },
    ),
    odd,
  )
  .map(object);
const updateBody = fc
  .tuple(
    fc.tuple(fc.constantFrom("order_id", "orderId"), json(orderId)),
    fc.tuple(
      fc.constant("status"),
      json(fc.oneof(fc.constantFrom(...STATUSES), fc.constantFrom("New", "shipped\u0000", "ſhipped"))),
    ),
    odd,
  )
  .map(object);
/**
 * The body as the bytes that are sent, perhaps with a byte order mark, white space, or bytes that JSON does not allow.
 */
const sent = (body: fc.Arbitrary<string>) =>
  fc
    .tuple(fc.constantFrom("", "", "", "\ufeff", "\ufeff", "\ufeff\ufeff"), fc.constantFrom("", "", " \t\r\n", "\u00a0"), body)
    .map((parts) => Buffer.from(parts.join("")));

const acceptedOrNot = async <T>(parse: () => Promise<T>): Promise<T | undefined> => {
  try {
    return await parse();
  } catch (e) {
    if (isAppError(e, "INVALID_FIELD") || isAppError(e, "NOT_JSON")) return undefined;
    throw e;
  }
};

/** The last command's record in the log must be an event, encode to the same bytes again, and be taken by the topic. */
const decodedBack = (record: NewRecord | undefined) => {
  const value = Buffer.from(String(record?.value));
  const event = decodeEvent(Buffer.from(String(record?.key)), value);
  expect(event).not.toHaveProperty("poison");
  if (isPoison(event)) throw new Error(event.detail);
  expect(encodeEvent(event)).toBe(String(record?.value));
  expect(value.length).toBeLessThanOrEqual(EVENT_BYTES_MAX);
  return event;
};

test("every create that the cart takes is an event that decodes to what was asked (I1)", async () => {
  const { appended, commands } = cart(false);
  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(sent(createBody), async (bytes) => {
      const command = await acceptedOrNot(async () => parseCreateOrder(await read(bytes)));
      if (!command) return;
      accepted++;
      if (!(await acceptedOrNot(() => commands.create(command, {})))) return;
      const event = decodedBack(appended.at(-1));
      if (event.type !== "ORDER_CREATED") throw new Error("It is no create.");
      const { cart: asked } = command;
      expect(event.orderId).toBe(command.orderId);
      if ("items" in asked) expect(event.order.items).toEqual([...asked.items]);
      if (asked.customerId !== undefined) expect(event.order.customerId).toBe(asked.customerId);
      if (asked.currency !== undefined) expect(event.order.currency).toBe(asked.currency);
    }),
    { numRuns: 5_000 },
  );
  expect(accepted).toBeGreaterThan(500);
});

test("every update that the cart takes is an event that decodes to what was asked (I1)", async () => {
  const { appended, commands } = cart(true);
  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(sent(updateBody), async (bytes) => {
      const command = await acceptedOrNot(async () => parseUpdateOrder(await read(bytes)));
      if (!command) return;
      accepted++;
      await commands.change(command.orderId, { type: "ORDER_STATUS_UPDATED", status: command.status }, {});
      expect(decodedBack(appended.at(-1))).toMatchObject({ type: "ORDER_STATUS_UPDATED", ...command });
    }),
    { numRuns: 1_000 },
  );
  expect(accepted).toBeGreaterThan(100);
});

test("a request is read as a record is: a byte order mark is passed over, two are not", async () => {
  const record = (prefix: string) => Buffer.from(prefix + encodeEvent(statusUpdated()));
  for (const [prefix, isTaken] of [
    ["", true],
    ["\ufeff", true],
    ["\ufeff\ufeff", false],
    ["\u00a0", false],
  ] as const) {
    const body = await acceptedOrNot(() => read(Buffer.from(`${prefix}{"order_id":"1"}`)));
    expect([prefix, body !== undefined]).toEqual([prefix, isTaken]);
    expect([prefix, !isPoison(decodeEvent(Buffer.from("ORD-1"), record(prefix)))]).toEqual([prefix, isTaken]);
  }
});

test("a record has the request's trace context among its headers", async () => {
  const { appended, commands } = cart(true);
  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const headersOf = async (context: { traceparent?: string; tracestate?: string }) => {
    await commands.change("ORD-1", { type: "ORDER_STATUS_UPDATED", status: "new" }, context);
    return new Map((appended.at(-1)?.headers ?? []).map(([name, value]) => [name, String(value)]));
  };
  const both = await headersOf({ traceparent, tracestate: "a=1" });
  expect([both.get("traceparent"), both.get("tracestate")]).toEqual([traceparent, "a=1"]);
  expect((await headersOf({ traceparent })).has("tracestate")).toBe(false);
});

test("the largest cart there can be is an event that the topic takes", async () => {
  const { appended, commands } = cart(false);
  const itemId = "\u2028".repeat(128);
  const items = Array.from({ length: 1_000 }, () => ({ item_id: itemId, quantity: 1, price: 999_999.99 }));
  const body = { order_id: "1".repeat(64), customer_id: '"'.repeat(128), items };
  await commands.create(parseCreateOrder(await read(Buffer.from(JSON.stringify(body)))), {});
  expect(decodedBack(appended.at(-1)).type).toBe("ORDER_CREATED");
});

test("the patterns of ids say what their functions do, with and without the flag u", () => {
  fc.assert(
    fc.property(text, (id) => {
      fc.pre(id.length >= 1 && id.length <= 128);
      for (const flags of ["", "u"]) {
        expect([id, new RegExp(NAME_PATTERN, flags).test(id)]).toEqual([id, isName(id)]);
        expect([id, new RegExp(PLAIN_NAME_PATTERN, flags).test(id)]).toEqual([id, isEventId(id)]);
      }
    }),
    { numRuns: 3_000 },
  );
});
