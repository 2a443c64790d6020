import { EVENT_HEADERS } from "../../log/record-headers.ts";
import type { Header, LogRecord } from "../../log/port.ts";

/** Which records of a topic are meant. What is undefined selects all. */
export interface Selection {
  /** Records with this timestamp or a later one, in ms since the Unix epoch. */
  readonly from_ms?: number | undefined;
  /** Records before this timestamp. */
  readonly to_ms?: number | undefined;
  /** Order ids, as the records' keys have them. */
  readonly orders?: readonly string[] | undefined;
  /** Event types, by the header `ce_type`, or else `event_type` in the value. */
  readonly types?: readonly string[] | undefined;
}

/** Whether a record is meant; what cannot be decoded never is. The same as the mapping `select` in pipelines/replay.yaml; the comparison holds the two to each other. */
export function matches({ from_ms, to_ms, orders, types }: Selection, record: LogRecord): boolean {
  if (record.undecodable) return false;
  if (from_ms !== undefined && record.timestamp_ms < from_ms) return false;
  if (to_ms !== undefined && record.timestamp_ms >= to_ms) return false;
  if (orders && !orders.includes(record.key?.toString() ?? "")) return false;
  return !types || types.includes(eventType(record) ?? "");
}

/** The last header of the name, as text; undefined where there is none or it is null. */
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
