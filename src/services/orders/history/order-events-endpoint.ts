import { Type } from "@sinclair/typebox";
import { type Endpoint, endpoint } from "../../../http/endpoint/endpoint.ts";
import { jsonAnswer } from "../../../http/endpoint/json-answer.ts";
import { invalidParameter, optionalQueryParameter, pathParameter } from "../../../http/endpoint/parameter.ts";
import { requestedPosition } from "../../../http/endpoint/request-headers.ts";
import { EVENT_KINDS, EVENT_TYPES } from "../../../orders/events/kinds.ts";
import { OUTCOMES } from "../../../orders/outcomes.ts";
import type { HeldPartitions } from "../../../runtime/held-partitions.ts";
import type { LogScans } from "../query/log-scan.ts";
import { orderIdParameter } from "../query/order-parameter.ts";
import { after, limitParameter, nextSchema, timeSchema } from "../query/pages.ts";
import type { OrderSearch } from "../query/order-search.ts";
import { type TimelineEvent, timelinePage } from "./timeline.ts";
import { parseCursor, type TimelineCursor } from "./timeline-cursor.ts";

export interface OrderEventsOptions {
  readonly search: OrderSearch;
  readonly partitions: HeldPartitions;
  readonly scans: LogScans;
  readonly orders_topic: string;
}

const EVENTS_DEFAULT = 50;
const EVENTS_MAX = 200;

const offset = (description: string) => Type.Integer({ minimum: 0, description });
const text = (description: string) => Type.Optional(Type.String({ description }));
const eventSchema = Type.Object(
  {
    partition: Type.Integer({ minimum: 0 }),
    offset: offset("Where it stands."),
    time: timeSchema,
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

/** An order's events, read from the log on request, a page at a time. */
export const orderEvents = (options: OrderEventsOptions): Endpoint =>
  endpoint({
    method: "GET",
    path: "/orders/:orderId/events",
    documentation: {
      id: "orderEvents",
      tag: "Orders",
      summary: "An order's events as the log has them, and what became of each",
      description: "Read from the log when asked for, a page at a time; a page may be short and have a next one.",
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
              events: Type.Array(eventSchema),
              next: nextSchema,
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
        "LOG_UNAVAILABLE",
        "CATCHING_UP",
        "PARTITION_HALTED",
        "PARTITION_BLOCKED",
        "OWNER_UNREACHABLE",
      ],
    },
    parameters: [
      pathParameter("orderId", orderIdParameter),
      optionalQueryParameter("after", after),
      limitParameter(EVENTS_DEFAULT, EVENTS_MAX),
      requestedPosition,
    ],
    handle: async (request, parameters) => {
      const { partitions, search, scans, orders_topic } = options;
      const { orderId, limit, after: given } = parameters;
      const cursor = given === undefined ? undefined : cursorOf(orderId, given);
      const places = await search.places(orderId, parameters["Log-Position"], request);
      const doubtOf = (partition: number) => partitions.get(partition)?.doubt;
      const page = await timelinePage(scans.of(request.client), orders_topic, orderId, { places, doubtOf }, cursor, limit);
      const { events, next = null, isCut, ...scanned } = page;
      return jsonAnswer(JSON.stringify({ orderId, ...scanned, events: events.map(eventBody), next, isCut }));
    },
  });

const cursorOf = (orderId: string, given: string): TimelineCursor => {
  const cursor = parseCursor(orderId, given);
  if (cursor === undefined) throw invalidParameter("after", after.schema);
  return cursor;
};

const eventBody = ({ shown, ...event }: TimelineEvent): object => ({ ...event, ...shown });
