import type { LogRecord } from "../../src/log/port.ts";

/** The client's operation that the record comes from. Here, a request's traceparent is its operation and attempt. */
export function operationOf(record: Pick<LogRecord, "headers">): string | undefined {
  const trace = record.headers().find(([name]) => name === "traceparent")?.[1];
  return trace ? String(trace).split("/")[0] : undefined;
}

/** What the reference reads of a record. */
export function loggedFields(record: Pick<LogRecord, "key" | "value" | "headers" | "undecodable">) {
  const value = String(record.value);
  const isPoison = record.undecodable !== undefined || value.startsWith("POISON");
  return { key: String(record.key), value, operation: operationOf(record), isPoison };
}
