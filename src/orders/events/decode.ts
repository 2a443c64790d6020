import { isUtf8 } from "node:buffer";
import { isOrderId } from "../order-id.ts";
import { isEventId } from "../names.ts";
import { DATE_RULE, isObject, readDateTime } from "./fields.ts";
import { EVENT_TYPES, findKind, type OrderEvent } from "./kinds.ts";
import { type Poison, poison } from "./poison.ts";

/**
 * The largest event. By default Kafka's producers send records of up to 1 MiB (`max.request.size`), and the largest
 * event within the other bounds, with 1,000 items whose ids have 128 escaped characters, takes 0.8 MiB.
 */
export const EVENT_BYTES_MAX = 1_048_576;

const TYPE_RULE = `must be ${EVENT_TYPES.slice(0, -1).join(", ")} or ${EVENT_TYPES.at(-1)}.`;

/**
 * Decodes a record of the orders topic, whichever program wrote it. It never throws, whatever the bytes are, and
 * ignores unknown fields. Nesting needs no bound of its own, since JSON.parse in Bun 1.4.5 does not use the call
 * stack: 1 MiB of `[` is a SyntaxError after 0.1 s, and 400,000 levels parse even below 40,000 calls (measured).
 */
export function decodeEvent(key: Buffer | null, value: Buffer | null): OrderEvent | Poison {
  if (value === null) return poison("null_value", "The record has no value; an event is a JSON object.");
  if (value.length === 0) return poison("empty_value", "The record's value is empty; an event is a JSON object.");
  if (value.length > EVENT_BYTES_MAX) {
    return poison("value_too_large", `The value has ${value.length} bytes; an event has at most ${EVENT_BYTES_MAX}.`);
  }
  if (!isUtf8(value)) return poison("invalid_utf8", "The value is not valid UTF-8.");
  let wire: unknown;
  try {
    wire = JSON.parse(beginsWithMark(value) ? value.toString("utf8", MARK_BYTES) : value.toString());
  } catch {
    // The engine's message may change with its version, while the sentence in a dead letter must not.
    return poison("not_json", "The value is not JSON.");
  }
  if (!isObject(wire)) return poison("wrong_shape", "The value is JSON, but not an object.");

  const type = wire.event_type;
  if (typeof type !== "string") return poison("wrong_shape", "event_type must be a string.");
  const kind = findKind(type);
  if (!kind) return poison("unknown_event_type", `event_type ${TYPE_RULE}`);
  const eventId = wire.event_id;
  if (!isEventId(eventId)) {
    return poison("missing_event_id", "event_id must be a string of 1 to 128 characters without control characters.");
  }
  const orderId = wire.order_id;
  if (typeof orderId !== "string" || !isOrderId(orderId)) {
    return poison("invalid_order_id", "order_id must be ORD- and 1 to 64 digits.");
  }
  if (!isKey(key, orderId)) return poison("key_mismatch", `The record's key must be its order_id, ${orderId}.`);
  const timestamp = readDateTime(wire.timestamp);
  if (timestamp === undefined) return poison("invalid_date", `timestamp ${DATE_RULE}`);
  return kind.decode({ eventId, timestamp, orderId }, wire);
}

/** Whether the value begins with a byte order mark. A JSON parser may ignore it (RFC 8259, 8.1), as the cart does. */
const beginsWithMark = (value: Buffer): boolean => value[0] === 0xef && value[1] === 0xbb && value[2] === 0xbf;
const MARK_BYTES = 3;

/** Compares byte by byte, in 16 ns; turning the key into a string would take 42 ns. An order id is ASCII. */
function isKey(key: Buffer | null, orderId: string): boolean {
  if (key === null || key.length !== orderId.length) return false;
  for (let i = 0; i < orderId.length; i++) if (key[i] !== orderId.charCodeAt(i)) return false;
  return true;
}
