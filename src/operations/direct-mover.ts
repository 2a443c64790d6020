import type { LogRecord, NewRecord, Producer } from "../log/log.ts";
import type { OperationEnvironment } from "./environment.ts";
import type { Mover, MoveProgress } from "./mover.ts";
import type { Rate } from "./rate.ts";
import { interrupted, type OffsetRange, scan } from "./scan.ts";

/** One append stays well below a broker's message.max.bytes (1 MiB by default), unless one record alone is larger. */
const APPEND_BYTES_MAX = 512 * 1024;
const APPEND_RECORDS_MAX = 1_000;

export interface DirectMoverOptions {
  readonly env: OperationEnvironment;
  /** Of the operation and its run: another process that runs the same one is fenced. It begins with a topic's name, as permissions do. */
  readonly fencingId: string;
  readonly topic: string;
  readonly target: string;
  readonly rate: Rate;
  /** The record to write, undefined where the record is not to be moved. */
  readonly toRecord: (record: LogRecord, partition: number) => NewRecord | undefined;
}

/**
 * Moves through the `Log` port alone. Its producer fences (KIP-98), so that what a killed run had sent has landed, or never will, before
 * it is looked up where to go on: each record arrives once, whatever was interrupted.
 *
 * ```
 *  (none) ──settle()──▶ open ──move()──▶ open      any failure: the producer is broken; settle() opens a new one
 * ```
 */
export class DirectMover implements Mover {
  readonly headersInOrder = true;
  #producer: Producer | undefined;

  constructor(private readonly options: DirectMoverOptions) {}

  async settle(): Promise<void> {
    await this.close();
    this.#producer = await this.options.env.log.fencedProducer(this.options.fencingId);
  }

  async move(ranges: readonly OffsetRange[], progress: MoveProgress): Promise<void> {
    const { env, topic, toRecord } = this.options;
    for await (const batches of scan(env, topic, ranges)) {
      const records = batches.flatMap(({ partition, records: read }) =>
        read.flatMap((record) => toRecord(record, partition) ?? []),
      );
      for (const part of parts(records, this.options.rate.records_at_once)) {
        await this.options.rate.take(part.length, env.signal);
        if (env.signal.aborted) throw interrupted();
        await this.#producer?.append(this.options.target, part);
        progress.moved(part.length);
      }
    }
  }

  async close(): Promise<void> {
    await this.#producer?.close();
    this.#producer = undefined;
  }
}

export function* parts(records: readonly NewRecord[], records_max: number): Generator<NewRecord[]> {
  const most = Math.min(records_max, APPEND_RECORDS_MAX);
  let part: NewRecord[] = [];
  let bytes = 0;
  for (const record of records) {
    const size = (record.key?.length ?? 0) + (record.value?.length ?? 0);
    if (part.length > 0 && (part.length >= most || bytes + size > APPEND_BYTES_MAX)) {
      yield part;
      part = [];
      bytes = 0;
    }
    part.push(record);
    bytes += size;
  }
  if (part.length > 0) yield part;
}
