import { quoted } from "./fields.ts";
import { kindOf, type OrderEvent } from "./kinds.ts";

/** The record's value: the fields in the order of the wire, money with two decimals, dates with their zone. */
export function encodeEvent(event: OrderEvent): string {
  const head = `{"event_id":${quoted(event.eventId)},"event_type":"${event.type}","timestamp":"${event.timestamp}"`;
  return `${head},"order_id":"${event.orderId}",${kindOf(event).encode(event)}}`;
}

/** Whether the bytes begin as `encodeEvent` begins an event with this id. */
export function isEncodedEvent(value: Buffer, eventId: string): boolean {
  if (value.length < ID_AT + eventId.length) return false;
  for (let i = 0; i < eventId.length; i++) if (value[ID_AT + i] !== eventId.charCodeAt(i)) return false;
  return true;
}

const ID_AT = '{"event_id":"'.length;
