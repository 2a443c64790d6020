import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { type TypeCheck, TypeCompiler } from "@sinclair/typebox/compiler";
import { AppError } from "../../../errors.ts";
import { MONEY_HUNDREDTHS_MAX, formatMoney, parseMoney, sumOfLines } from "../../../orders/money.ts";
import { ID_CHARS_MAX, PLAIN_NAME_PATTERN } from "../../../orders/names.ts";
import { CURRENCIES, ITEMS_MAX, type Item, QUANTITY_MAX, STATUSES } from "../../../orders/order.ts";
import { normalizeOrderId, ORDER_ID_DIGITS_MAX } from "../../../orders/order-id.ts";
import type { CreateOrder, UpdateStatus } from "../commands/commands.ts";

/**
 * The bodies as the contract writes them, snake_case; a client may send each name in camelCase instead. `must` completes
 * the sentence "<field> must …" of a 422. Names that are not listed are ignored, as the Python predecessor does.
 */
const idSchema = (description: string) =>
  Type.String({
    minLength: 1,
    maxLength: ID_CHARS_MAX,
    pattern: PLAIN_NAME_PATTERN,
    description,
    must: `be a string of 1 to ${ID_CHARS_MAX} characters without control characters and halves of surrogate pairs`,
  });

const oneOf = <const T extends string>(values: readonly T[], description: string) =>
  Type.Union(
    values.map((value) => Type.Literal(value)),
    { description, must: `be one of ${values.join(", ")}` },
  ) as unknown as ReturnType<typeof Type.Unsafe<T>>;

const orderIdSchema = Type.String({
  pattern: `^(ORD-)?[0-9]{1,${ORDER_ID_DIGITS_MAX}}$`,
  description: "Bare digits become ORD-<digits>.",
  must: `be a string of 1 to ${ORDER_ID_DIGITS_MAX} digits, with or without ORD- before them, such as "123"`,
});

const itemSchema = Type.Object(
  {
    item_id: idSchema("The client's id of what is ordered."),
    quantity: Type.Integer({ minimum: 1, maximum: QUANTITY_MAX, must: `be an integer from 1 to ${QUANTITY_MAX}` }),
    price: Type.Number({
      minimum: 0,
      maximum: MONEY_HUNDREDTHS_MAX / 100,
      description: "Of one piece; rounded half up to two decimals.",
      must: `be a number from 0 to ${formatMoney(MONEY_HUNDREDTHS_MAX)}`,
    }),
  },
  { must: "be an object with item_id, quantity and price" },
);

export const createOrderBody = Type.Object({
  order_id: orderIdSchema,
  number_of_items: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: ITEMS_MAX,
      description: "How many items a demo cart gets. Required without items.",
      must: `be an integer from 1 to ${ITEMS_MAX}`,
    }),
  ),
  customer_id: Type.Optional(idSchema("Without it a demo customer.")),
  currency: Type.Optional(oneOf(CURRENCIES, "Without it USD.")),
  items: Type.Optional(
    Type.Array(itemSchema, {
      minItems: 1,
      maxItems: ITEMS_MAX,
      must: `be a list of 1 to ${ITEMS_MAX} objects with item_id, quantity and price`,
    }),
  ),
});

export const updateOrderBody = Type.Object({ order_id: orderIdSchema, status: oneOf(STATUSES, "Any may follow any.") });

const createOrderCheck = TypeCompiler.Compile(createOrderBody);
const updateOrderCheck = TypeCompiler.Compile(updateOrderBody);

/** Throws INVALID_FIELD with a sentence for each field that is wrong. */
export const parseCreateOrder = (body: unknown): CreateOrder => {
  const raw = requireObject(body);
  const read = {
    order_id: either(raw, "order_id", "orderId"),
    number_of_items: either(raw, "number_of_items", "numberOfItems"),
    customer_id: either(raw, "customer_id", "customerId"),
    currency: raw.currency,
    items: raw.items === undefined ? undefined : readItems(raw.items),
  };
  const { order_id, number_of_items, customer_id, currency, items } = checked(createOrderCheck, read);
  const orderId = normalized(order_id);
  const customer = customer_id === undefined ? {} : { customerId: customer_id };
  if (items === undefined) {
    if (number_of_items === undefined) {
      throw invalid("number_of_items", `number_of_items must be an integer from 1 to ${ITEMS_MAX}, or items must be sent.`);
    }
    return { orderId, cart: { demoItems: number_of_items, ...customer, ...(currency === undefined ? {} : { currency }) } };
  }
  if (number_of_items !== undefined && number_of_items !== items.length) {
    throw invalid(
      "number_of_items",
      `number_of_items must be left out or be the number of items sent, which is ${items.length}.`,
    );
  }
  return { orderId, cart: { currency: currency ?? "USD", items: toItems(items), ...customer } };
};

/** Throws INVALID_FIELD with a sentence for each field that is wrong. */
export const parseUpdateOrder = (body: unknown): UpdateStatus => {
  const raw = requireObject(body);
  const { order_id, status } = checked(updateOrderCheck, { order_id: either(raw, "order_id", "orderId"), status: raw.status });
  return { orderId: normalized(order_id), status };
};

/** A fingerprint's text: the same for every spelling of one request. */
export const canonicalCreateOrder = ({ orderId, cart }: CreateOrder): string => {
  const items = "demoItems" in cart ? cart.demoItems : cart.items.map((i) => [i.itemId, i.quantity, i.price_hundredths]);
  return JSON.stringify([orderId, cart.customerId ?? null, cart.currency ?? null, items]);
};

export const canonicalUpdateOrder = ({ orderId, status }: UpdateStatus): string => JSON.stringify([orderId, status]);

type Fields = Readonly<Record<string, unknown>>;

const requireObject = (body: unknown): Fields => {
  if (typeof body === "object" && body !== null && !Array.isArray(body)) return body as Fields;
  throw invalid("", "The body must be a JSON object.");
};

const either = (raw: Fields, snake: string, camel: string): unknown => {
  const a = raw[snake];
  const b = raw[camel];
  if (a === undefined) return b;
  if (b !== undefined && a !== b) throw invalid(snake, `${snake} and ${camel} are one field; they must not differ.`);
  return a;
};

/** With snake_case names; what is no list or object is left for the schema to refuse. */
const readItems = (items: unknown): unknown => {
  if (!Array.isArray(items) || items.length > ITEMS_MAX) return items;
  return items.map((raw: unknown) =>
    typeof raw === "object" && raw !== null && !Array.isArray(raw)
      ? { item_id: either(raw as Fields, "item_id", "itemId"), quantity: (raw as Fields).quantity, price: (raw as Fields).price }
      : raw,
  );
};

const normalized = (orderId: string): string => {
  const id = normalizeOrderId(orderId);
  if (id === undefined) throw new AppError("INTERNAL", "The schema and normalizeOrderId disagree about an order id.");
  return id;
};

const toItems = (items: Static<typeof itemSchema>[]): Item[] => {
  const result = items.map(({ item_id, quantity, price }, i): Item => {
    const price_hundredths = parseMoney(price);
    if (price_hundredths === undefined)
      throw invalid(`items[${i}].price`, `items[${i}].price must ${itemSchema.properties.price.must}.`);
    return { itemId: item_id, quantity, price_hundredths };
  });
  if (sumOfLines(result) === undefined) {
    throw invalid("items", `items must not add up to more than ${formatMoney(MONEY_HUNDREDTHS_MAX)}.`);
  }
  return result;
};

const invalid = (field: string, detail: string): AppError =>
  new AppError("INVALID_FIELD", detail, { errors: [{ field, detail }] });

/** More would say no more. */
const ERRORS_MAX = 10;

const checked = <T extends TSchema>(check: TypeCheck<T>, value: unknown): Static<T> => {
  if (check.Check(value)) return value;
  const errors = new Map<string, string>();
  for (const { path, schema } of check.Errors(value)) {
    const field = path
      .slice(1)
      .replace(/\/([0-9]+)(?=\/|$)/g, "[$1]")
      .replaceAll("/", ".");
    if (!errors.has(field)) errors.set(field, `${field} must ${schema.must}.`);
    if (errors.size === ERRORS_MAX) break;
  }
  throw new AppError("INVALID_FIELD", [...errors.values()].join(" "), {
    errors: [...errors].map(([field, detail]) => ({ field, detail })),
  });
};
