import { AppError, isAppError } from "../errors.ts";
import { Backoff } from "../log/backoff.ts";
import type { Batch, FetchResult } from "../log/log.ts";
import type { OperationEnvironment } from "./environment.ts";

/** Offsets of one partition. */
export interface OffsetRange {
  readonly partition: number;
  readonly from: number;
  /** The first offset that no longer belongs to it. */
  readonly to: number;
}

/** Longest time without a record although some are left. An open transaction holds readers back for as long as its producer says. */
const READ_STALL_MS_MAX = 60_000;
const FETCH = { wait_ms_max: 500, partition_bytes_max: 1024 * 1024 };

/**
 * Reads the ranges to their ends, all partitions at a time, and gives what each fetch brought. Through an outage it tries again, for
 * READ_STALL_MS_MAX at most. Throws LOG_UNAVAILABLE after that, OFFSET_OUT_OF_RANGE where records were deleted meanwhile,
 * INTERRUPTED, and LOG_DISAGREES where the log's bytes cannot be read.
 */
export async function* scan(env: OperationEnvironment, topic: string, ranges: readonly OffsetRange[]): AsyncGenerator<Batch[]> {
  const { log, clock, random, signal } = env;
  const ends = new Map(ranges.map(({ partition, to }) => [partition, to]));
  const positions = new Map(ranges.filter(({ from, to }) => from < to).map(({ partition, from }) => [partition, from]));
  if (positions.size === 0) return;
  const backoff = new Backoff(env.backoff, random);
  const reader = log.reader(topic);
  try {
    for (let progressAt_ms = clock.now_ms(); positions.size > 0;) {
      if (signal.aborted) throw interrupted();
      let results: FetchResult[] = [];
      let failure: unknown;
      try {
        results = await reader.fetch(positions, FETCH);
      } catch (e) {
        if (!isAppError(e, "LOG_UNAVAILABLE")) throw e;
        failure = e;
      }
      const batches = results.map((result) => batchOf(topic, result));
      for (const { partition, nextOffset } of batches) {
        if (nextOffset > (positions.get(partition) ?? 0)) progressAt_ms = clock.now_ms();
        if (nextOffset >= (ends.get(partition) ?? 0)) positions.delete(partition);
        else positions.set(partition, nextOffset);
      }
      const within = batches.map((batch) => cutAt(batch, ends.get(batch.partition) ?? 0));
      if (within.length > 0) yield within;
      if (clock.now_ms() - progressAt_ms > READ_STALL_MS_MAX) throw stalled(topic, positions, failure);
      if (failure) await clock.sleep(backoff.next_ms(), signal);
      else backoff.reset();
    }
  } finally {
    await reader.close();
  }
}

export const interrupted = (): AppError => new AppError("INTERRUPTED", "It was interrupted.");

function batchOf(topic: string, result: FetchResult): Batch {
  if ("batch" in result) return result.batch;
  const { partition } = result;
  if ("unreadable" in result)
    throw new AppError("LOG_DISAGREES", `Partition ${partition} of ${topic} cannot be read: ${result.unreadable}`);
  const { startOffset, endOffset } = result.outOfRange;
  const message = `Partition ${partition} of ${topic} now goes from ${startOffset} to ${endOffset}: records were deleted meanwhile. What is moved keeps its time, so a topic for it needs retention.ms=-1.`;
  throw new AppError("OFFSET_OUT_OF_RANGE", message);
}

/** Without what lies beyond the range. */
function cutAt(batch: Batch, to: number): Batch {
  if (batch.nextOffset <= to) return batch;
  return { ...batch, nextOffset: to, records: batch.records.filter(({ offset }) => offset < to) };
}

function stalled(topic: string, positions: ReadonlyMap<number, number>, failure: unknown): AppError {
  const where = [...positions].map(([partition, offset]) => `${partition}:${offset}`).join(", ");
  const why = failure instanceof Error ? failure.message : "A transaction may be open there.";
  const message = `${topic} gave no record for ${READ_STALL_MS_MAX / 1_000} s at ${where} (partition:offset). ${why}`;
  return new AppError("LOG_UNAVAILABLE", message, {}, failure);
}
