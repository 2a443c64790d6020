import { Type } from "@sinclair/typebox";
import type { Operation } from "../../api/openapi.ts";
import { EVENT_KINDS, EVENT_TYPES } from "../../orders/events/kinds.ts";
import { OUTCOMES } from "../../orders/outcomes.ts";
import { ORDER_ID_DIGITS_MAX } from "../../orders/order-id.ts";
import { EVENTS_DEFAULT, EVENTS_MAX, LETTERS_DEFAULT, LETTERS_MAX } from "./history/history-routes.ts";

const offset = (description: string) => Type.Integer({ minimum: 0, description });
const text = (description: string) => Type.Optional(Type.String({ description }));
const time = Type.Union([Type.String({ format: "date-time" }), Type.String({ pattern: "^-?[0-9]{1,19}$" })], {
  description: "As the record's producer stamped it; its milliseconds where they are no date of the years 0 to 9999.",
});
const next = Type.Union([Type.String(), Type.Null()], { description: "What to give as after; null at the end." });

const event = Type.Object(
  {
    partition: Type.Integer({ minimum: 0 }),
    offset: offset("Where it stands."),
    time,
    outcome: Type.Unsafe<string>({
      type: "string",
      enum: [...Object.keys(OUTCOMES), "poison"],
    }),
    eventId: text("None where it is poison."),
    type: text(`${EVENT_TYPES.slice(0, -1).join(", ")} or ${EVENT_TYPES.at(-1)}.`),
    status: text("That it asks for."),
    ...Object.assign({}, ...EVENT_KINDS.map(({ shown }) => shown)),
    isWaiting: Type.Optional(Type.Boolean({ description: "Held, and the create has not come yet." })),
    heldApplied: Type.Optional(Type.Integer({ description: "Of a create: held updates that it had applied." })),
    reason: text("Of a dead letter."),
    detail: text("Of a dead letter, a sentence."),
    replayId: text("The replay that wrote it."),
    redrives: Type.Optional(Type.Integer({ description: "How often it was redriven." })),
  },
  { title: "TimelineEvent" },
);

const bytes = Type.Union(
  [
    Type.Object({
      bytes: Type.Integer({ description: "How many the record has, also where its letter was cut to fit." }),
      isCut: Type.Boolean({ description: "Fewer are shown." }),
      text: text("Where it is UTF-8."),
      base64: text("Where it is not."),
    }),
    Type.Null(),
  ],
  { description: "What stands there, or its beginning." },
);

const letter = Type.Object(
  {
    partition: Type.Integer({ minimum: 0 }),
    offset: offset("Where the letter stands."),
    time,
    reason: Type.String(),
    detail: Type.String(),
    origin: Type.Object({
      topic: Type.String(),
      partition: Type.Union([Type.Integer(), Type.Null()]),
      offset: Type.Union([Type.Integer(), Type.Null()]),
    }),
    key: bytes,
    value: bytes,
    redrives: Type.Integer({ minimum: 0 }),
    redrive: Type.Union([Type.String(), Type.Null()], { description: "The command that takes it back; null where none does." }),
    noRedrive: Type.Union([Type.String(), Type.Null()], {
      description: "Why none does: it was cut, it stands for a batch that cannot be decoded, or it is of another topic.",
    }),
  },
  { title: "DeadLetter" },
);

const page = (limit_default: number, limit_max: number) => [
  {
    name: "after",
    in: "query",
    description: "What the page before gave as next.",
    schema: Type.String(),
    example: "3.1712",
  } as const,
  {
    name: "limit",
    in: "query",
    description: "Of the page.",
    schema: Type.Integer({ minimum: 1, maximum: limit_max, default: limit_default }),
    example: limit_default,
  } as const,
];

const unavailable = ["LOG_UNAVAILABLE", "CATCHING_UP", "PARTITION_HALTED", "PARTITION_BLOCKED"] as const;

/** Histories and live figures. What a browser alone asks for, the page, its files and its form, is not of the API. */
export const viewOperations: readonly Operation[] = [
  {
    method: "GET",
    path: "/orders/:orderId/events",
    id: "orderEvents",
    tag: "Orders",
    summary: "An order's events as the log has them, and what became of each",
    description: "Read from the log when asked for, a page at a time; a page may be short and have a next one.",
    parameters: [
      {
        name: "orderId",
        in: "path",
        description: "With or without ORD-.",
        schema: Type.String({ pattern: `^(ORD-)?[0-9]{1,${ORDER_ID_DIGITS_MAX}}$` }),
        example: "ORD-123",
      },
      ...page(EVENTS_DEFAULT, EVENTS_MAX),
    ],
    headers: ["Log-Position"],
    answers: {
      200: {
        description: "The events, in the order of the log.",
        schema: Type.Object(
          {
            orderId: Type.String(),
            partition: Type.Integer({ minimum: 0 }),
            scannedFrom: offset("Read for this page, from here on."),
            scannedTo: offset("Up to here."),
            startOffset: offset("What there is to read."),
            endOffset: offset("Up to here."),
            events: Type.Array(event),
            next,
            isCut: Type.Boolean({ description: "The order has more events than can be told apart." }),
          },
          { title: "Timeline" },
        ),
        headers: ["Cache-Control"],
      },
    },
    errors: [
      "LOG_POSITION_INVALID",
      "ORDER_NOT_FOUND",
      "PARTITION_ELSEWHERE",
      "INVALID_FIELD",
      "POSITION_NOT_REACHED",
      ...unavailable,
    ],
  },
  {
    method: "GET",
    path: "/dead-letters",
    id: "deadLetters",
    tag: "Operating",
    summary: "Records that were no events, the newest first",
    parameters: [
      ...page(LETTERS_DEFAULT, LETTERS_MAX),
      {
        name: "reason",
        in: "query",
        description: "Only these.",
        schema: Type.String({ pattern: "^[a-z_]{1,64}$" }),
        example: "not_json",
      },
    ],
    answers: {
      200: {
        description: "The letters.",
        schema: Type.Object(
          {
            topicName: Type.String(),
            letters: Type.Array(letter),
            unavailable: Type.Array(Type.Object({ partition: Type.Integer({ minimum: 0 }), reason: Type.String() }), {
              description: "Partitions of the topic that the log does not give now; their letters are in no page.",
            }),
            next,
          },
          { title: "DeadLetters" },
        ),
        headers: ["Cache-Control"],
      },
    },
    errors: ["INVALID_FIELD", ...unavailable],
  },
  {
    method: "GET",
    path: "/live",
    id: "liveFigures",
    tag: "Operating",
    summary: "What the page shows, as server-sent events",
    description: "about, history and figures at once, then figures each second, until the client leaves.",
    answers: {
      200: {
        description: "It does not end.",
        contentType: "text/event-stream",
        schema: Type.String(),
        headers: ["Cache-Control", "X-Accel-Buffering"],
      },
    },
  },
];
