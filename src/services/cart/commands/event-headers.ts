import { EVENT_HEADERS } from "../../../log/record-headers.ts";
import type { OrderEvent } from "../../../orders/events/kinds.ts";

/**
 * The headers of an event's record: CloudEvents 1.0 in Kafka's binary mode, in which the value is the event's data and
 * `content-type` is its media type, and W3C Trace Context. `source` is a URI reference that names the producer.
 */
export const eventHeaders = (event: OrderEvent, source: string, traceparent: string): [name: string, value: string][] => [
  [EVENT_HEADERS.specversion, "1.0"],
  [EVENT_HEADERS.id, event.eventId],
  [EVENT_HEADERS.type, event.type],
  [EVENT_HEADERS.source, source],
  [EVENT_HEADERS.time, event.timestamp],
  [EVENT_HEADERS.contentType, "application/json"],
  [EVENT_HEADERS.traceparent, traceparent],
];

/** Starts a new W3C trace, not sampled. The event is its first span, so both ids come from the event's, a UUID. */
export const newTraceparent = (eventId: string): string => {
  const digits = hex(eventId);
  return `00-${digits}-${digits.slice(0, 16)}-00`;
};

/** A UUID's 32 hex digits. Slicing takes half as long as replacing the hyphens. */
const hex = (uuid: string): string =>
  uuid.slice(0, 8) + uuid.slice(9, 13) + uuid.slice(14, 18) + uuid.slice(19, 23) + uuid.slice(24);
