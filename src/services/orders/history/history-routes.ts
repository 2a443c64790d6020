import { AppError } from "../../../errors.ts";
import type { HttpRequest } from "../../../http/http-request.ts";
import type { InFlight } from "../../../http/in-flight.ts";
import type { Route } from "../../../http/app.ts";
import { normalizeOrderId, ORDER_ID_DIGITS_MAX } from "../../../orders/order-id.ts";
import { type DeadLetterCursor, deadLetterPage, parseDeadLetterCursor } from "../dead-letters/dead-letter-listing.ts";
import type { LogScans } from "../query/log-scan.ts";
import { type OrderPartitions, type PartitionOf, partitionsOf } from "../query/queries.ts";
import { waitForRequested } from "../query/requested-position.ts";
import { type TimelineEvent, timelinePage } from "./timeline.ts";
import { parseCursor } from "./timeline-cursor.ts";

export interface HistoryRoutesOptions {
  readonly partitions: OrderPartitions;
  readonly partitionOf: PartitionOf;
  readonly scans: LogScans;
  readonly orders_topic: string;
  readonly dead_letter_topic: string;
  readonly read_wait_ms_max: number;
  readonly inFlight: InFlight;
}

export const EVENTS_DEFAULT = 50;
export const EVENTS_MAX = 200;
export const LETTERS_DEFAULT = 20;
export const LETTERS_MAX = 100;

/** What the log holds of an order, and what it holds that is no event: read from it when asked for, a page at a time. */
export const historyRoutes = (options: HistoryRoutesOptions): Route[] => {
  const { partitions, partitionOf, scans, orders_topic, dead_letter_topic, read_wait_ms_max, inFlight } = options;

  const timeline = async (request: HttpRequest): Promise<Response> => {
    const orderId = normalizeOrderId(request.segment(1));
    if (orderId === undefined)
      throw invalid("orderId", `be 1 to ${ORDER_ID_DIGITS_MAX} digits, with or without ORD- before them, such as ORD-123`);
    const limit = limitOf(request, EVENTS_DEFAULT, EVENTS_MAX);
    const after = request.parameter("after");
    const cursor = after === undefined ? undefined : parseCursor(orderId, after);
    if (after !== undefined && cursor === undefined) throw invalid("after", "be what the page before gave as next");
    await waitForRequested(request, partitions, read_wait_ms_max, inFlight.waiting);
    const known = partitionsOf(partitions, partitionOf, orderId);
    const page = await timelinePage(scans.of(request.client), orders_topic, orderId, known, cursor, limit);
    const { events, next = null, isCut, ...scanned } = page;
    return json({ orderId, ...scanned, events: events.map(eventBody), next, isCut });
  };

  const deadLetters = async (request: HttpRequest): Promise<Response> => {
    const limit = limitOf(request, LETTERS_DEFAULT, LETTERS_MAX);
    const after = request.parameter("after");
    let cursor: DeadLetterCursor | undefined;
    if (after !== undefined && (cursor = parseDeadLetterCursor(after)) === undefined)
      throw invalid("after", "be what the page before gave as next");
    const reason = request.parameter("reason");
    if (reason !== undefined && !/^[a-z_]{1,64}$/.test(reason))
      throw invalid("reason", "be a reason as x-dead-letter-reason gives it, such as not_json");
    const {
      letters,
      unavailable,
      next = null,
    } = await deadLetterPage(scans.of(request.client), orders_topic, dead_letter_topic, cursor, reason, limit);
    return json({ topicName: dead_letter_topic, letters, unavailable, next });
  };

  return [
    { method: "GET", path: "/orders/:orderId/events", handle: timeline },
    { method: "GET", path: "/dead-letters", handle: deadLetters },
  ];
};

const eventBody = ({ shown, ...event }: TimelineEvent): object => ({ ...event, ...shown });

const limitOf = (request: HttpRequest, limit_default: number, limit_max: number): number => {
  const limit = request.parameter("limit") ?? String(limit_default);
  if (/^[0-9]{1,4}$/.test(limit) && Number(limit) >= 1 && Number(limit) <= limit_max) return Number(limit);
  throw invalid("limit", `be an integer from 1 to ${limit_max}`);
};

const invalid = (field: string, must: string): AppError => {
  const detail = `${field} must ${must}.`;
  return new AppError("INVALID_FIELD", detail, { errors: [{ field, detail }] });
};

const json = (body: unknown): Response =>
  new Response(JSON.stringify(body), { headers: { "content-type": "application/json", "cache-control": "no-store" } });
