import { type TProperties, Type } from "@sinclair/typebox";
import { MONEY_HUNDREDTHS_MAX } from "./money.ts";
import { ORDER_ID_DIGITS_MAX } from "./order-id.ts";
import { ID_CHARS_MAX, ITEMS_MAX, NAME_PATTERN, PLAIN_NAME_PATTERN, QUANTITY_MAX, type Status, STATUSES } from "./order.ts";

/** As events and answers write it. */
export const orderIdOnWire = Type.String({ pattern: `^ORD-[0-9]{1,${ORDER_ID_DIGITS_MAX}}$` });

const eventId = Type.String({
  minLength: 1,
  maxLength: ID_CHARS_MAX,
  pattern: PLAIN_NAME_PATTERN,
  description: "An event counts once by its id, however often it is in the topic. Ours are UUIDs.",
});

const name = (description: string) => Type.String({ minLength: 1, maxLength: ID_CHARS_MAX, pattern: NAME_PATTERN, description });

/** Years from 0000 on, no leap second, a fraction of at most nine digits. */
const dateTime = (description: string) =>
  Type.String({
    format: "date-time",
    pattern: "^\\d{4}-\\d{2}-\\d{2}T(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,9})?(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)$",
    description: `${description} Without a zone, as the Python predecessor writes it, it is read as UTC.`,
  });

const money = (description: string) => Type.Number({ minimum: 0, maximum: MONEY_HUNDREDTHS_MAX / 100, description });

const status = Type.Unsafe<Status>({ type: "string", enum: [...STATUSES], description: "Any may follow any." });

const order = Type.Object(
  {
    order_id: orderIdOnWire,
    customer_id: name("The client's id of who orders."),
    order_date: dateTime("When it was ordered."),
    items: Type.Array(
      Type.Object({
        item_id: name("The client's id of what is ordered."),
        quantity: Type.Integer({ minimum: 1, maximum: QUANTITY_MAX }),
        price: money("Of one piece; rounded half up to two decimals."),
      }),
      { maxItems: ITEMS_MAX },
    ),
    total_amount: money("Kept as given; rounded half up to two decimals."),
    currency: Type.String({ pattern: "^[A-Z]{3}$" }),
    status,
  },
  { title: "OrderOnWire" },
);

const event = (title: string, type: string, more: TProperties) =>
  Type.Object(
    {
      event_id: eventId,
      event_type: Type.Literal(type),
      timestamp: dateTime("When it happened."),
      order_id: { ...orderIdOnWire, description: "The record's key, too." },
      ...more,
    },
    { title },
  );

/**
 * The events on the wire as JSON Schema, for the programs that read and write the topic. `decodeEvent` does not use it, for speed; a
 * property test holds the two together: what `encodeEvent` writes is valid here, and `decodeEvent` takes what is valid here.
 *
 * `decodeEvent` takes more: dates without a zone (the Python predecessor's; they are UTC), with a space or `t` in place of `T`, or with
 * `z`; and amounts that only rounding brings within the bounds. And it takes less where a schema cannot say it: the record's key and
 * `order.order_id` are `order_id`; a text's length counts UTF-16 code units; EVENT_BYTES_MAX.
 */
export const orderCreatedSchema = event("OrderCreated", "ORDER_CREATED", { order });
export const orderStatusUpdatedSchema = event("OrderStatusUpdated", "ORDER_STATUS_UPDATED", { status });

/** CloudEvents 1.0 in Kafka's binary mode and W3C Trace Context. An event without them is as good. */
export const eventHeadersSchema = Type.Object({
  ce_specversion: Type.Optional(Type.Literal("1.0")),
  ce_id: Type.Optional(Type.String({ description: "The value's event_id." })),
  ce_type: Type.Optional(Type.Unsafe<string>({ type: "string", enum: ["ORDER_CREATED", "ORDER_STATUS_UPDATED"] })),
  ce_source: Type.Optional(Type.String({ format: "uri-reference", description: "Who wrote it." })),
  ce_time: Type.Optional(Type.String({ format: "date-time" })),
  "content-type": Type.Optional(Type.Literal("application/json")),
  traceparent: Type.Optional(Type.String({ pattern: "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$" })),
  tracestate: Type.Optional(Type.String({ maxLength: 512, description: "As the request brought it, beside its traceparent." })),
  "idempotency-fingerprint": Type.Optional(
    Type.String({ description: "Of the request, where it had an Idempotency-Key; the event's id is then the key's." }),
  ),
});
