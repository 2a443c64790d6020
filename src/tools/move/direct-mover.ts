import { isAppError } from "../../errors.ts";
import type { KnownTopic } from "../../log/read/comparing-reader.ts";
import type { LogRecord, NewRecord, Producer } from "../../log/port.ts";
import { appendPart, type Outgoing, parts } from "./append-parts.ts";
import type { OperationEnvironment } from "../environment.ts";
import type { Mover, MoveProgress } from "./mover.ts";
import type { Rate } from "../terminal/rate.ts";
import { interrupted, type OffsetRange, scan } from "../scan/scan.ts";
import { batchBytesMax } from "../scan/target.ts";

export interface DirectMoverOptions {
  readonly env: OperationEnvironment;
  /**
   * The producer's transactional id, the same in every process that runs this operation, so that they fence each
   * other. It begins with the topic's name, since brokers grant rights by prefix.
   */
  readonly fencingId: string;
  readonly topic: KnownTopic;
  readonly target: string;
  readonly rate: Rate;
  /** Makes the record to write; undefined where the record is not to be moved. */
  readonly toRecord: (record: LogRecord, partition: number) => NewRecord | undefined;
}

/**
 * Moves through the `Log` port alone. Its producer fences (KIP-98): what a killed run had sent has either landed or
 * never will, before the next run looks up where to go on. So each record arrives once, whatever was interrupted.
 *
 * ```
 *  (none) ──settle()──▶ open ──move()──▶ open      any failure: the producer is broken; settle() opens a new one
 * ```
 */
export class DirectMover implements Mover {
  readonly headersInOrder = true;
  #producer: Producer | undefined;
  #append_bytes_max: number | undefined;

  constructor(private readonly options: DirectMoverOptions) {}

  async settle(): Promise<void> {
    const { env, fencingId, target } = this.options;
    await this.close();
    this.#producer = await env.log.fencedProducer(fencingId);
    this.#append_bytes_max = batchBytesMax(await env.log.describe(target));
  }

  async move(ranges: readonly OffsetRange[], progress: MoveProgress): Promise<void> {
    const { env, topic, target, rate } = this.options;
    for await (const batches of scan(env, topic, ranges)) {
      const outgoing = batches.flatMap(({ partition, records }) =>
        records.flatMap((record) => this.#outgoing(record, partition)),
      );
      for await (const part of parts(outgoing, rate.records_at_once, this.#append_bytes_max)) {
        await rate.take(part.length, env.signal);
        if (env.signal.aborted) throw interrupted();
        await appendPart((records) => this.#append(records), target, part);
        progress.moved(part.length);
      }
    }
  }

  async close(): Promise<void> {
    await this.#producer?.close();
    this.#producer = undefined;
  }

  #outgoing(read: LogRecord, partition: number): Outgoing[] {
    const record = this.options.toRecord(read, partition);
    return record ? [{ from: { partition, offset: read.offset }, record }] : [];
  }

  async #append(records: readonly NewRecord[]): Promise<void> {
    try {
      await this.#producer?.append(this.options.target, records);
    } catch (e) {
      // Nothing was appended, so the caller may try smaller parts, for which it needs a producer that is not broken.
      if (isAppError(e, "EVENT_TOO_LARGE") && records.length > 1) await this.settle();
      throw e;
    }
  }
}
