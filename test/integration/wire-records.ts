import { expect } from "bun:test";
import { type Backing, foreignClient, readAll, totalLength } from "../support/brokers/foreign.ts";
import { waitUntil } from "../support/wait-until.ts";

export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
export const ZONED_DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,6}Z$/;
const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

export interface WireRecord {
  readonly key: string;
  readonly value: string;
  readonly headers: Record<string, string>;
}

/**
 * All records of the topic in each partition's order: on the broker as another program's kafkajs consumer gets them.
 */
export async function readAsForeigner({ kind, env, log, topic }: Backing): Promise<WireRecord[]> {
  if (kind === "embedded") {
    const records = await readAll(log, topic);
    return records.map(({ key, value, headers }) => ({
      key: String(key),
      value: String(value),
      headers: Object.fromEntries(headers),
    }));
  }
  const length = await totalLength(log, topic);
  const consumer = foreignClient(env["KAFKA_BROKERS"] ?? "").consumer({
    groupId: `read-${crypto.randomUUID()}`,
    maxWaitTimeInMs: 100,
  });
  const records: WireRecord[] = [];
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ message: { key, value, headers } }) => {
      const text = Object.entries(headers ?? {}).map(([name, bytes]) => [name, String(bytes)] as const);
      records.push({ key: String(key), value: String(value), headers: Object.fromEntries(text) });
    },
  });
  await waitUntil(`the end of ${topic}`, () => records.length >= length, { wait_ms_max: 20_000 });
  await consumer.disconnect();
  return records;
}

/** The headers of an event's record, whose value was parsed: CloudEvents' and the trace's. */
export function expectHeaders(record: WireRecord, event: Readonly<Record<string, unknown>>): void {
  const { traceparent, ce_source, ...headers } = record.headers;
  expect(headers).toEqual({
    ce_specversion: "1.0",
    ce_id: String(event["event_id"]),
    ce_type: String(event["event_type"]),
    ce_time: String(event["timestamp"]),
    "content-type": "application/json",
  });
  expect(ce_source).toMatch(/^\S+$/);
  expect(traceparent).toMatch(TRACEPARENT);
}
