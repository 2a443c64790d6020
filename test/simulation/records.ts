import type { LogRecord } from "../../src/log/port.ts";

/** The client's operation that the record comes from: a request's traceparent here is its operation and attempt. */
export function operationOf(record: Pick<LogRecord, "headers">): string | undefined {
  const trace = record.headers().find(([name]) => name === "traceparent")?.[1];
  return trace ? String(trace).split("/")[0] : undefined;
}

/** As the reference reads it. */
export function logged(record: Pick<LogRecord, "key" | "value" | "headers" | "undecodable">) {
  const value = String(record.value);
  const isPoison = record.undecodable !== undefined || value.startsWith("POISON");
  return { key: String(record.key), value, operation: operationOf(record), isPoison };
}
