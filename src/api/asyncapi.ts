import { type TProperties, Type } from "@sinclair/typebox";
import {
  DEAD_LETTER_EXTRA_HEADERS,
  DEAD_LETTER_HEADERS,
  EVENT_HEADERS,
  PARKED_HEADERS,
  REDRIVE_HEADERS,
} from "../log/record-headers.ts";
import { orderIdSchema } from "../orders/events/fields.ts";
import { EVENT_KINDS, EVENT_TYPES, type EventKind } from "../orders/events/kinds.ts";
import { eventSchema } from "../orders/events/schema.ts";
import { documented, type Json, type NamedSchemas } from "./json-schema.ts";

export interface Topics {
  readonly orders_topic: string;
  readonly dead_letter_topic: string;
}

const integer = (description: string) => Type.String({ pattern: "^[0-9]+$", description });

const deadLetterProperties = {
  [DEAD_LETTER_HEADERS.reason]: Type.String({
    description:
      "Why: a stable code, such as not_json, wrong_shape, invalid_date, key_mismatch, held_overflow, undecodable_batch.",
  }),
  [DEAD_LETTER_HEADERS.detail]: Type.String({ description: "Why: a sentence." }),
  [DEAD_LETTER_HEADERS.topic]: Type.String({ description: "Where it stands in the log: topic, partition and offset." }),
  [DEAD_LETTER_HEADERS.partition]: integer("Its partition."),
  [DEAD_LETTER_HEADERS.offset]: integer("Its offset."),
  [DEAD_LETTER_EXTRA_HEADERS.lastOffset]: Type.Optional(
    integer("The letter stands for all from its offset to this one: a batch that cannot be decoded (undecodable_batch)."),
  ),
  [DEAD_LETTER_EXTRA_HEADERS.cut]: Type.Optional(
    Type.String({
      description:
        "What of the record is not all here, as it is too large for a letter, and how much it was: value=3145728;key=9000;headers=2.",
    }),
  ),
};

/** Headers that `bun run redrive` and pipelines/redrive.yaml write. */
const redriveProperties = {
  [REDRIVE_HEADERS.count]: Type.Optional(integer("How often it was redriven.")),
  [REDRIVE_HEADERS.topic]: Type.Optional(Type.String({ description: "Where the letter of the last redrive stands." })),
  [REDRIVE_HEADERS.partition]: Type.Optional(integer("Its partition.")),
  [REDRIVE_HEADERS.offset]: Type.Optional(integer("Its offset.")),
  [REDRIVE_HEADERS.timestamp]: Type.Optional(integer("Its time, in ms since the Unix epoch.")),
};

const parkedProperties = {
  [PARKED_HEADERS.topic]: Type.String({ description: "Where the letter stands." }),
  [PARKED_HEADERS.partition]: integer("Its partition."),
  [PARKED_HEADERS.offset]: integer("Its offset."),
  [PARKED_HEADERS.timestamp]: Type.Optional(integer("Its time, in ms since the Unix epoch.")),
};

const headersOf = (title: string, ...properties: TProperties[]) =>
  Type.Object(Object.assign({}, ...properties) as TProperties, {
    title,
    description: "Beside those that the record had before.",
  });

/**
 * Headers of CloudEvents 1.0 in Kafka's binary mode, and of W3C Trace Context. An event may also come without them.
 */
const eventProperties = {
  [EVENT_HEADERS.specversion]: Type.Optional(Type.Literal("1.0")),
  [EVENT_HEADERS.id]: Type.Optional(Type.String({ description: "The value's event_id." })),
  [EVENT_HEADERS.type]: Type.Optional(Type.Unsafe<string>({ type: "string", enum: [...EVENT_TYPES] })),
  [EVENT_HEADERS.source]: Type.Optional(Type.String({ format: "uri-reference", description: "Who wrote it." })),
  [EVENT_HEADERS.time]: Type.Optional(Type.String({ format: "date-time" })),
  [EVENT_HEADERS.contentType]: Type.Optional(Type.Literal("application/json")),
  [EVENT_HEADERS.traceparent]: Type.Optional(Type.String({ pattern: "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$" })),
  [EVENT_HEADERS.tracestate]: Type.Optional(
    Type.String({ maxLength: 512, description: "As the request brought it, beside its traceparent." }),
  ),
  [EVENT_HEADERS.fingerprint]: Type.Optional(
    Type.String({ description: "Of the request, where it had an Idempotency-Key; the event's id is then the key's." }),
  ),
};

export const eventHeadersSchema = Type.Object({ ...eventProperties, ...redriveProperties }, { title: "EventHeaders" });

const EVENT_ID = "6f8a2c1e-0000-4000-8000-00000000000";
const EXAMPLE_TIMES = ["2026-11-22T21:42:39.413Z", "2026-11-22T21:43:01.006Z"];

/** The examples tell the story of one order: the first kind of event begins it, and the others follow. */
const eventExample = ({ type, example }: EventKind, index: number): Json => ({
  event_id: `${EVENT_ID}${index + 1}`,
  event_type: type,
  timestamp: EXAMPLE_TIMES[index] ?? EXAMPLE_TIMES.at(-1),
  order_id: "ORD-123",
  ...example,
});

const eventHeadersExample = (type: string) => ({
  [EVENT_HEADERS.specversion]: "1.0",
  [EVENT_HEADERS.id]: `${EVENT_ID}1`,
  [EVENT_HEADERS.type]: type,
  [EVENT_HEADERS.source]: "/cart-service",
  [EVENT_HEADERS.time]: EXAMPLE_TIMES[0],
  [EVENT_HEADERS.contentType]: "application/json",
  [EVENT_HEADERS.traceparent]: "00-4bf92f3577b34da6a3ce929d0e0e4736-6f8a2c1e00004000-00",
});
const deadLetterHeadersExample = {
  [DEAD_LETTER_HEADERS.reason]: "not_json",
  [DEAD_LETTER_HEADERS.detail]: "The value is not JSON.",
  [DEAD_LETTER_HEADERS.topic]: "orders.events",
  [DEAD_LETTER_HEADERS.partition]: "3",
  [DEAD_LETTER_HEADERS.offset]: "1712",
};

/** Turns `OrderCreated` into `orderCreated`. */
const messageName = ({ name }: EventKind): string => `${name.charAt(0).toLowerCase()}${name.slice(1)}`;

/** The AsyncAPI 3.0 document of the topics. */
export function asyncApiDocument({ orders_topic, dead_letter_topic }: Topics): Json {
  const schemas: NamedSchemas = {};
  const ref = (path: string) => ({ $ref: `#/${path}` });
  const channel = (address: string, description: string, messages: readonly string[]): Json => ({
    address,
    description,
    messages: Object.fromEntries(messages.map((name) => [name, ref(`components/messages/${name}`)])),
  });
  const event = (kind: EventKind, index: number): Json => {
    const example = eventExample(kind, index);
    const payload = documented(eventSchema(kind), schemas);
    return {
      summary: kind.summary,
      contentType: "application/json",
      headers: documented(eventHeadersSchema, schemas),
      payload,
      bindings: { kafka: { key: documented(orderIdSchema, schemas), bindingVersion: "0.5.0" } },
      examples: [kind.isCreate ? { headers: eventHeadersExample(kind.type), payload: example } : { payload: example }],
    };
  };
  const anyBytes = (headers: Json, summary: string, example: Json): Json => ({
    summary,
    contentType: "application/octet-stream",
    headers,
    payload: { description: "The record's value as it was, byte for byte; so is its key." },
    examples: [{ headers: example, payload: "{not JSON" }],
  });
  const operation = (action: "send" | "receive", channelName: string, summary: string): Json => ({
    action,
    channel: ref(`channels/${channelName}`),
    summary,
  });
  const messages = {
    ...Object.fromEntries(EVENT_KINDS.map((kind, index) => [messageName(kind), event(kind, index)])),
    deadLetter: anyBytes(
      documented(headersOf("DeadLetterHeaders", deadLetterProperties, redriveProperties), schemas),
      "A record that could not be applied.",
      deadLetterHeadersExample,
    ),
    parkedLetter: anyBytes(
      documented(headersOf("ParkedLetterHeaders", deadLetterProperties, redriveProperties, parkedProperties), schemas),
      "A dead letter that was redriven as often as it may be.",
      {
        ...deadLetterHeadersExample,
        [REDRIVE_HEADERS.count]: "3",
        [PARKED_HEADERS.topic]: "orders.events.dlq",
        [PARKED_HEADERS.partition]: "3",
        [PARKED_HEADERS.offset]: "17",
        [PARKED_HEADERS.timestamp]: "1795613603669",
      },
    ),
  };
  return {
    asyncapi: "3.0.0",
    info: {
      title: "Order events",
      version: "1",
      description: "The topics of the order pipeline. Records of one order are in one partition, and in order there.",
      license: { name: "MIT" },
    },
    defaultContentType: "application/json",
    channels: {
      orders: channel(
        orders_topic,
        "The log: the truth that all state is rebuilt from. It is kept for ever.",
        EVENT_KINDS.map(messageName),
      ),
      deadLetters: channel(dead_letter_topic, "Each record that could not be applied, once.", ["deadLetter"]),
      parked: channel(`${orders_topic}.parked`, "Where redrives end; it must be created by hand.", ["parkedLetter"]),
    },
    operations: {
      publishOrderEvents: operation("send", "orders", "The cart service appends, acknowledged by all in-sync replicas."),
      applyOrderEvents: operation("receive", "orders", "The order service folds each event into its order."),
      publishDeadLetters: operation("send", "deadLetters", "The order service sets a record aside before it goes on behind it."),
      redriveDeadLetters: operation("receive", "deadLetters", "A redrive takes letters back to the topic."),
      parkDeadLetters: operation("send", "parked", "A redrive gives up on a letter."),
    },
    components: { messages, schemas },
  };
}
