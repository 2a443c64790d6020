import { formatMoney } from "./money.ts";
import { ORDER_ID_PATTERN } from "./order-id.ts";

export const STATUSES = ["new", "pending", "confirmed", "processing", "shipped", "cancelled"] as const;
export type Status = (typeof STATUSES)[number];

/** The rule of statuses, for documents. */
export const STATUS_ORDER_RULE = "Any may follow any.";

export const isStatus = (value: unknown): value is Status => (STATUSES as readonly unknown[]).includes(value);

/** The currencies of carts; money has two decimals in each. Another program's event may have any three letters. */
export const CURRENCIES = ["USD", "EUR", "GBP", "JPY", "KRW", "CNY", "INR", "BRL", "MXN", "ARS", "COP"] as const;
export type Currency = (typeof CURRENCIES)[number];

export const ITEMS_MAX = 1_000;
export const QUANTITY_MAX = 1_000_000;

export interface Item {
  readonly itemId: string;
  /** An integer from 1 to QUANTITY_MAX. */
  readonly quantity: number;
  readonly price_hundredths: number;
}

/** What a client orders, before it has an id, a date and a total. */
export interface Cart {
  readonly customerId?: string;
  readonly currency: Currency;
  readonly items: readonly Item[];
}

/** What an order's create said, which never changes. A field that may change is one of Order itself. */
export interface Created {
  /** `ORD-<digits>`. */
  readonly orderId: string;
  readonly customerId: string;
  /** An RFC 3339 date and time with a zone. */
  readonly orderDate: string;
  /** At most ITEMS_MAX items; another program's event may have none. */
  readonly items: readonly Item[];
  /** The total as the event gives it; in another program's event it need not be the sum of the items. */
  readonly total_hundredths: number;
  /** Three capital letters; in our events one of CURRENCIES. */
  readonly currency: string;
  /** The digest's fact of all this, where it was computed already. */
  readonly fact?: number;
}

/** An order as it is now. A field that the create does not give gets its first value in the ORDER_CREATED kind. */
export interface Order {
  /** A store reads it when a member is first asked for. */
  readonly created: Created;
  readonly status: Status;
}

/** An order as the event of its create has it. */
export interface CreatedOrder extends Created {
  readonly status: Status;
}

/** The order with another status. Written out, as copying all fields by a spread makes a fold 2 % dearer. */
export const withStatus = ({ created }: Order, status: Status): Order => ({ created, status });

/** The fields of an order that are bounded enough to fit into a URL. */
export type OrderWithoutItems = Omit<Order, "created"> & { readonly created: Omit<Created, "items"> };

/** All fields of an order: those of its create, and those that may change. */
export type OrderFields = Omit<Order, "created"> & Omit<Created, "fact">;

interface OrderField {
  /**
   * The fact of the digest that covers the field: the create's, or a fact of the field alone with its own number. Its
   * text is undefined where there is no fact to tell, so that orders from before the field existed keep their digest.
   */
  readonly fact: "created" | { readonly number: number; readonly text: (order: Order) => string | undefined };
  /** The name of the field's member in an answer. */
  readonly member: string;
  /** The JSON Schema of the member. */
  readonly schema: Readonly<Record<string, unknown>>;
  /** The JSON text of the member. */
  readonly json: (order: Order) => string;
  /** The member in the example of the API documents. */
  readonly example: unknown;
}

const moneySchema = (description: string) => ({
  minimum: 0,
  description: `${description} Written with two decimals.`,
  type: "number",
});

/**
 * How each field appears in the digest and in an answer. JSON is written by hand because JSON.stringify would write
 * 150.00 as 150. What may change is written in services/orders/state/order-record.ts.
 */
export const ORDER_FIELDS = {
  orderId: {
    fact: "created",
    member: "orderId",
    schema: { pattern: ORDER_ID_PATTERN, type: "string" },
    json: ({ created }) => JSON.stringify(created.orderId),
    example: "ORD-123",
  },
  customerId: {
    fact: "created",
    member: "customerId",
    schema: { type: "string" },
    json: ({ created }) => JSON.stringify(created.customerId),
    example: "CUST-00042",
  },
  orderDate: {
    fact: "created",
    member: "orderDate",
    schema: { format: "date-time", type: "string" },
    json: ({ created }) => JSON.stringify(created.orderDate),
    example: "2026-11-22T21:42:39.413Z",
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
    json: ({ created }) => `[${created.items.map(itemJson).join(",")}]`,
    example: [{ itemId: "ITEM-001", quantity: 3, price: 50 }],
  },
  total_hundredths: {
    fact: "created",
    member: "totalAmount",
    schema: moneySchema("As its event gives it; another program's need not be the sum of the items."),
    json: ({ created }) => formatMoney(created.total_hundredths),
    example: 150,
  },
  currency: {
    fact: "created",
    member: "currency",
    schema: { pattern: "^[A-Z]{3}$", type: "string" },
    json: ({ created }) => JSON.stringify(created.currency),
    example: "USD",
  },
  status: {
    fact: { number: 2, text: ({ status }) => status },
    member: "status",
    schema: { type: "string", enum: [...STATUSES] },
    json: ({ status }) => JSON.stringify(status),
    example: "confirmed",
  },
} as const satisfies Readonly<Record<keyof OrderFields, OrderField>>;

export const orderFields: readonly (OrderField & { readonly field: keyof OrderFields })[] = Object.entries<OrderField>(
  ORDER_FIELDS,
).map(([field, facts]) => ({ ...facts, field: field as keyof OrderFields }));

/** The order as answers show it. */
export const orderJson = (order: Order): string =>
  `{${orderFields.map(({ member, json }) => `"${member}":${json(order)}`).join(",")}}`;

const itemJson = ({ itemId, quantity, price_hundredths }: Item): string =>
  `{"itemId":${JSON.stringify(itemId)},"quantity":${quantity},"price":${formatMoney(price_hundredths)}}`;
