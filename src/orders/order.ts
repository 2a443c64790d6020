import { formatMoney } from "./money.ts";
import { ORDER_ID_PATTERN } from "./order-id.ts";

export const STATUSES = ["new", "pending", "confirmed", "processing", "shipped", "cancelled"] as const;
export type Status = (typeof STATUSES)[number];

export const isStatus = (value: unknown): value is Status => (STATUSES as readonly unknown[]).includes(value);

/** The currencies a cart may ask for. A foreign event may carry any three letters; money has two decimals in each. */
export const CURRENCIES = ["USD", "EUR", "GBP", "JPY", "KRW", "CNY", "INR", "BRL", "MXN", "ARS", "COP"] as const;
export type Currency = (typeof CURRENCIES)[number];

export const ITEMS_MAX = 1_000;
export const QUANTITY_MAX = 1_000_000;

export interface Item {
  readonly itemId: string;
  /** An integer, 1 to QUANTITY_MAX. */
  readonly quantity: number;
  readonly price_hundredths: number;
}

/** What a client orders, before it has an id, a date and a total. */
export interface Cart {
  readonly customerId?: string;
  readonly currency: Currency;
  readonly items: readonly Item[];
}

/** An order as its create gives it. */
export interface CreatedOrder {
  /** `ORD-<digits>`. */
  readonly orderId: string;
  readonly customerId: string;
  /** RFC 3339 with a zone. */
  readonly orderDate: string;
  /** At most ITEMS_MAX; a foreign event's may be empty. */
  readonly items: readonly Item[];
  /** As the event gives it: a foreign one need not be the sum of its items. */
  readonly total_hundredths: number;
  /** Three capital letters; one of CURRENCIES in an event of ours. */
  readonly currency: string;
  readonly status: Status;
}

/** An order as it is now. A field that no create gives gets its first value where an ORDER_CREATED makes its order. */
export type Order = CreatedOrder;

/** All of an order that has a bound small enough to be carried in a URL. */
export type OrderWithoutItems = Omit<Order, "items">;

interface OrderField {
  /** The fact of the digest that tells the field: that of the create, or one of its own under a number of its own. */
  readonly fact: "created" | { readonly number: number; readonly text: (order: Order) => string };
  /** The member of an answer: its name, its JSON Schema and its JSON text. */
  readonly member: string;
  readonly schema: Readonly<Record<string, unknown>>;
  readonly json: (order: Order) => string;
}

const moneySchema = (description: string) => ({
  minimum: 0,
  description: `${description} Written with two decimals.`,
  type: "number",
});

/**
 * What each field is in the digest and in an answer. JSON is written by hand because JSON.stringify would write 150.00 as
 * 150. A field's column is in services/orders/state/order-row.ts.
 */
export const ORDER_FIELDS = {
  orderId: {
    fact: "created",
    member: "orderId",
    schema: { pattern: ORDER_ID_PATTERN, type: "string" },
    json: ({ orderId }) => JSON.stringify(orderId),
  },
  customerId: {
    fact: "created",
    member: "customerId",
    schema: { type: "string" },
    json: ({ customerId }) => JSON.stringify(customerId),
  },
  orderDate: {
    fact: "created",
    member: "orderDate",
    schema: { format: "date-time", type: "string" },
    json: ({ orderDate }) => JSON.stringify(orderDate),
  },
  items: {
    fact: "created",
    member: "items",
    schema: {
      maxItems: ITEMS_MAX,
      type: "array",
      items: {
        title: "Item",
        type: "object",
        required: ["itemId", "quantity", "price"],
        properties: {
          itemId: { type: "string" },
          quantity: { minimum: 1, maximum: QUANTITY_MAX, type: "integer" },
          price: moneySchema("Of one piece."),
        },
      },
    },
    json: ({ items }) => `[${items.map(itemJson).join(",")}]`,
  },
  total_hundredths: {
    fact: "created",
    member: "totalAmount",
    schema: moneySchema("As its event gives it; another program's need not be the sum of the items."),
    json: ({ total_hundredths }) => formatMoney(total_hundredths),
  },
  currency: {
    fact: "created",
    member: "currency",
    schema: { pattern: "^[A-Z]{3}$", type: "string" },
    json: ({ currency }) => JSON.stringify(currency),
  },
  status: {
    fact: { number: 2, text: ({ status }) => status },
    member: "status",
    schema: { type: "string", enum: [...STATUSES] },
    json: ({ status }) => JSON.stringify(status),
  },
} as const satisfies Readonly<Record<keyof Order, OrderField>>;

export const orderFields: readonly (OrderField & { readonly field: keyof Order })[] = Object.entries<OrderField>(
  ORDER_FIELDS,
).map(([field, facts]) => ({ ...facts, field: field as keyof Order }));

/** An order as answers have it. */
export const orderJson = (order: Order): string =>
  `{${orderFields.map(({ member, json }) => `"${member}":${json(order)}`).join(",")}}`;

const itemJson = ({ itemId, quantity, price_hundredths }: Item): string =>
  `{"itemId":${JSON.stringify(itemId)},"quantity":${quantity},"price":${formatMoney(price_hundredths)}}`;
