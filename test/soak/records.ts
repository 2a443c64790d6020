import type { Log } from "../../src/log/port.ts";
import type { LoggedRecord } from "../reference/reference.ts";
import { eachRecord, type ForeignRecord } from "../support/brokers/foreign.ts";

/** The headers of what the soak writes straight into the topic: its number, and a mark on what is meant as poison. */
export const SEND_HEADER = "soak-send";
export const POISON_HEADER = "soak-poison";

/** Clients name their operation by a trace, which the cart copies into the record's headers (W3C Trace Context). */
export const traceOf = (operation: number): string => {
  const hex = operation.toString(16);
  return `00-${hex.padStart(32, "0")}-${hex.padStart(16, "0")}-00`;
};

export const nameOf = (operation: number): string => `op${operation}`;

/** A record of the topic. Its bytes are turned into text only on request, because a long run has many records. */
export class TopicRecord implements LoggedRecord {
  readonly partition: number;
  readonly offset: number;
  readonly operation: string | undefined;
  readonly send: number | undefined;
  readonly isPoison: boolean;
  readonly keyBytes: Buffer | null;
  readonly valueBytes: Buffer | null;

  constructor({ partition, offset, key, value, headers }: ForeignRecord) {
    const header = (wanted: string) => headers.find(([name]) => name === wanted)?.[1];
    const trace = header("traceparent");
    const send = header(SEND_HEADER);
    this.partition = partition;
    this.offset = offset;
    this.keyBytes = key;
    this.valueBytes = value;
    this.operation = trace === undefined ? undefined : nameOf(Number.parseInt(trace.slice(3, 35), 16));
    this.send = send === undefined ? undefined : Number(send);
    this.isPoison = header(POISON_HEADER) !== undefined;
  }

  get key(): string {
    return String(this.keyBytes);
  }

  get value(): string {
    return String(this.valueBytes);
  }
}

/** A dead letter, and where it came from. */
export interface DeadLetterRecord {
  readonly partition: number;
  readonly offset: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
}

/** Reads all records of a topic, by partition. */
export async function readRecords(log: Log, topic: string): Promise<TopicRecord[][]> {
  const partitions: TopicRecord[][] = Array.from({ length: await log.partitionCount(topic) }, () => []);
  for await (const record of eachRecord(log, topic)) partitions[record.partition]?.push(new TopicRecord(record));
  return partitions;
}

export async function readDeadLetters(log: Log, topic: string): Promise<DeadLetterRecord[]> {
  const letters: DeadLetterRecord[] = [];
  for await (const { key, value, headers } of eachRecord(log, topic)) {
    // The last header of a name counts, because the record may have been a dead letter before.
    const origin = (what: string) => Number(headers.findLast(([name]) => name === `x-dead-letter-${what}`)?.[1]);
    letters.push({ partition: origin("partition"), offset: origin("offset"), key, value });
  }
  return letters;
}
