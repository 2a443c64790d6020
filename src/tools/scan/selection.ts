import { EVENT_HEADERS } from "../../log/record-headers.ts";
import type { Header, LogRecord } from "../../log/port.ts";

/** Selects records of a topic. A criterion that is undefined selects all. */
export interface Selection {
  /** The earliest timestamp selected, in ms since the Unix epoch. */
  readonly from_ms?: number | undefined;
  /** The first timestamp no longer selected, in ms since the Unix epoch. */
  readonly to_ms?: number | undefined;
  /** The order ids selected, which are the records' keys. */
  readonly orders?: readonly string[] | undefined;
  /** The event types selected, by the header `ce_type` or else by `event_type` in the value. */
  readonly types?: readonly string[] | undefined;
}

/**
 * Whether a record is selected; one that cannot be decoded never is. The mapping `select` in pipelines/replay.yaml
 * must select the same, which the comparison after each replay checks.
 */
export function matches({ from_ms, to_ms, orders, types }: Selection, record: LogRecord): boolean {
  if (record.undecodable) return false;
  if (from_ms !== undefined && record.timestamp_ms < from_ms) return false;
  if (to_ms !== undefined && record.timestamp_ms >= to_ms) return false;
  if (orders && !orders.includes(record.key?.toString() ?? "")) return false;
  return !types || types.includes(eventType(record) ?? "");
}

/** The text of the last header of that name; undefined where there is none or it is null. */
export function headerText(headers: readonly Header[], name: string): string | undefined {
  const value = headers.findLast(([given]) => given === name)?.[1];
  return value ? (Buffer.isBuffer(value) ? value : Buffer.from(value)).toString() : undefined;
}

export function eventType(record: LogRecord): string | undefined {
  const inHeader = headerText(record.headers(), EVENT_HEADERS.type);
  if (inHeader !== undefined) return inHeader;
  try {
    const event: unknown = JSON.parse(record.value?.toString() ?? "");
    const type = (event as { event_type?: unknown } | null)?.event_type;
    return typeof type === "string" ? type : undefined;
  } catch {
    return undefined;
  }
}
