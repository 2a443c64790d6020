import type { Header, LogRecord, NewHeader, NewRecord } from "../../log/port.ts";

/** What is compared strictly. Redpanda Connect keeps no order of headers, and a redriven record gets a new time. */
export interface Strictness {
  readonly headersInOrder: boolean;
  readonly timestamp: boolean;
}

/** The names of the parts in which the record that arrived differs from the expected one. */
export function recordDifference(expected: NewRecord, arrived: LogRecord, strictness: Strictness): string[] {
  const differences: string[] = [];
  if (!sameBytes(expected.key, arrived.key)) differences.push("key");
  if (!sameBytes(expected.value, arrived.value)) differences.push("value");
  if (strictness.timestamp && expected.timestamp_ms !== arrived.timestamp_ms) differences.push("timestamp");
  if (!sameHeaders(expected.headers, arrived.headers(), strictness.headersInOrder)) differences.push("headers");
  return differences;
}

type Bytes = string | Uint8Array | null;

/** Keeps a Buffer, which the bytes mostly are already: making a view costs more than comparing. */
const buffer = (bytes: string | Uint8Array): Buffer => (Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes as Uint8Array));

function sameBytes(a: Bytes, b: Bytes): boolean {
  return a === null || b === null ? a === b : buffer(a).equals(buffer(b));
}

function sameHeaders(expected: readonly NewHeader[], arrived: readonly Header[], inOrder: boolean): boolean {
  if (expected.length !== arrived.length) return false;
  const a = inOrder ? expected : sorted(expected);
  const b = inOrder ? arrived : sorted(arrived);
  return a.every(([name, value], i) => name === b[i]?.[0] && sameBytes(value, b[i][1]));
}

const sorted = (headers: readonly NewHeader[]): NewHeader[] => {
  const order = ([name, value]: NewHeader) => `${name}\0${value === null ? "" : buffer(value).toString("hex")}`;
  return headers.toSorted((a, b) => (order(a) < order(b) ? -1 : 1));
};
