import { type Static, Type } from "@sinclair/typebox";
import { type Endpoint, endpoint } from "../../../http/endpoint/endpoint.ts";
import { invalidField } from "../../../http/endpoint/invalid-field.ts";
import { MONEY_HUNDREDTHS_MAX, formatMoney, parseMoney, sumOfLines } from "../../../orders/money.ts";
import { ID_CHARS_MAX, PLAIN_NAME_PATTERN } from "../../../orders/names.ts";
import { type Cart, CURRENCIES, type Item, ITEMS_MAX, QUANTITY_MAX } from "../../../orders/order.ts";
import type { CartCommands, CreateOrder } from "../commands/commands.ts";
import { checkerOf, either, type Fields, normalized, oneOf, orderIdField, requireObject } from "./body-fields.ts";
import { commandErrors, publishedAnswer, publishedResponse } from "./command-answers.ts";
import { contextHeaders, requestContext } from "./request-context.ts";

const idSchema = (description: string) =>
  Type.String({
    minLength: 1,
    maxLength: ID_CHARS_MAX,
    pattern: PLAIN_NAME_PATTERN,
    description,
    must: `be a string of 1 to ${ID_CHARS_MAX} characters without control characters and halves of surrogate pairs`,
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

const schema = Type.Object({
  order_id: orderIdField,
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

const checked = checkerOf(schema);

/** Throws INVALID_FIELD with a sentence for each wrong field. */
export const parseCreateOrder = (body: unknown): CreateOrder => {
  const raw = requireObject(body);
  const read = {
    order_id: either(raw, "order_id", "orderId"),
    number_of_items: either(raw, "number_of_items", "numberOfItems"),
    customer_id: either(raw, "customer_id", "customerId"),
    currency: raw.currency,
    items: raw.items === undefined ? undefined : readItems(raw.items),
  };
  const { order_id, number_of_items, customer_id, currency, items } = checked(read);
  const orderId = normalized(order_id);
  const customer = customer_id === undefined ? {} : { customerId: customer_id };
  if (items === undefined) {
    if (number_of_items === undefined) {
      throw invalidField("number_of_items", `number_of_items must be an integer from 1 to ${ITEMS_MAX}, or items must be sent.`);
    }
    return { orderId, cart: { demoItems: number_of_items, ...customer, ...(currency === undefined ? {} : { currency }) } };
  }
  if (number_of_items !== undefined && number_of_items !== items.length) {
    throw invalidField(
      "number_of_items",
      `number_of_items must be left out or be the number of items sent, which is ${items.length}.`,
    );
  }
  return { orderId, cart: { currency: currency ?? "USD", items: toItems(items), ...customer } };
};

/**
 * The text of which the fingerprint is made: the same for every spelling of one request, another for another request. The
 * order of its fields stays, since a request may be sent again after an upgrade.
 */
const canonical = ({ orderId, cart }: CreateOrder): string => {
  const fields = {
    customerId: cart.customerId ?? null,
    currency: cart.currency ?? null,
    items: "demoItems" in cart ? cart.demoItems : cart.items.map((i) => [i.itemId, i.quantity, i.price_hundredths]),
  } satisfies Record<keyof Cart, unknown>;
  return JSON.stringify([orderId, ...Object.values(fields)]);
};

/** The items with snake_case names. Anything that is not a list or an object is left for the schema to refuse. */
const readItems = (items: unknown): unknown => {
  if (!Array.isArray(items) || items.length > ITEMS_MAX) return items;
  return items.map((raw: unknown) =>
    typeof raw === "object" && raw !== null && !Array.isArray(raw)
      ? { item_id: either(raw as Fields, "item_id", "itemId"), quantity: (raw as Fields).quantity, price: (raw as Fields).price }
      : raw,
  );
};

const toItems = (items: Static<typeof itemSchema>[]): Item[] => {
  const result = items.map(({ item_id, quantity, price }, i): Item => {
    const price_hundredths = parseMoney(price);
    if (price_hundredths === undefined)
      throw invalidField(`items[${i}].price`, `items[${i}].price must ${itemSchema.properties.price.must}.`);
    return { itemId: item_id, quantity, price_hundredths };
  });
  if (sumOfLines(result) === undefined) {
    throw invalidField("items", `items must not add up to more than ${formatMoney(MONEY_HUNDREDTHS_MAX)}.`);
  }
  return result;
};

const PUBLISHED = "order created and published successfully";

const at = { method: "POST", path: "/create-order" } as const;

export const createOrder = (commands: CartCommands, body_bytes_max: number): Endpoint =>
  endpoint({
    ...at,
    documentation: {
      id: "createOrder",
      tag: "Orders",
      summary: "Create an order",
      description:
        "Publishes ORDER_CREATED. 200 only after all in-sync replicas have it and it is the order's first create. Without items the cart is filled as a demo.",
      answers: { 200: publishedAnswer("Created", PUBLISHED) },
      errors: ["ORDER_EXISTS", ...commandErrors],
    },
    parameters: contextHeaders,
    body: {
      schema: { ...schema, title: "CreateOrder" },
      examples: {
        demo: { order_id: "123", number_of_items: 3 },
        "a cart of your own": {
          order_id: "124",
          customer_id: "CUST-1",
          currency: "EUR",
          items: [{ item_id: "A", quantity: 2, price: 9.95 }],
        },
        "in camelCase": { orderId: "ORD-125", numberOfItems: 1 },
      },
      body_bytes_max,
      parse: parseCreateOrder,
    },
    handle: async (request, headers, command) => {
      const context = requestContext(request, headers, at, canonical, command);
      return publishedResponse(PUBLISHED, command.orderId, await commands.create(command, context));
    },
  });
