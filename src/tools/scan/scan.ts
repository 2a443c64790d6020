import { AppError, isAppError } from "../../errors.ts";
import { cutBatch } from "../../log/batch-records.ts";
import { Backoff } from "../../log/backoff.ts";
import { formatLogPosition } from "../../log/log-position.ts";
import { type ComparedResult, ComparingReader, type KnownTopic } from "../../log/read/comparing-reader.ts";
import type { Batch } from "../../log/port.ts";
import type { OperationEnvironment } from "../environment.ts";

/** The offsets of one partition from `from` up to, and not including, `to`. */
export interface OffsetRange {
  readonly partition: number;
  readonly from: number;
  readonly to: number;
}

/**
 * The longest time without a record although some are left: an open transaction holds readers back until it times out.
 */
const READ_STALL_MS_MAX = 60_000;
const FETCH_WAIT_MS_MAX = 500;
/** Bounds on what one fetch brings of a partition, and of all partitions: one answer is held in memory. */
const PARTITION_BYTES_MAX = 1024 * 1024;
const PARTITION_BYTES_MIN = 16 * 1024;
const ANSWER_BYTES_MAX = 32 * 1024 * 1024;
const STALLED_SHOWN_MAX = 5;

/**
 * Reads the ranges to their ends, all partitions at a time, and yields what each fetch brought. During an outage it
 * retries for at most READ_STALL_MS_MAX. Throws LOG_UNAVAILABLE after that, OFFSET_OUT_OF_RANGE where records were
 * deleted meanwhile, LOG_DISAGREES where the log is not the same any more or its bytes cannot be read, and
 * INTERRUPTED.
 *
 * A batch that cannot be decoded comes as one record with `undecodable` set.
 */
export async function* scan(
  env: OperationEnvironment,
  topic: KnownTopic,
  ranges: readonly OffsetRange[],
): AsyncGenerator<Batch[]> {
  const { log, clock, random, signal } = env;
  const ends = new Map(ranges.map(({ partition, to }) => [partition, to]));
  const positions = new Map(ranges.filter(({ from, to }) => from < to).map(({ partition, from }) => [partition, from]));
  if (positions.size === 0) return;
  const backoff = new Backoff(env.backoff, random);
  const reader = new ComparingReader(log, topic);
  /** Why a partition cannot be read, by partition, for as long as it cannot. */
  const away = new Map<number, string>();
  try {
    for (let progressAt_ms = clock.now_ms(); positions.size > 0;) {
      if (signal.aborted) throw interrupted();
      let results: ComparedResult[] = [];
      let failure: unknown;
      try {
        results = await reader.fetch(positions, limitsFor(positions.size));
      } catch (e) {
        if (!isAppError(e, "LOG_UNAVAILABLE")) throw e;
        failure = e;
      }
      const batches = results.flatMap((result) => batchOf(topic.name, result, away) ?? []);
      for (const { partition, nextOffset } of batches) {
        if (nextOffset > (positions.get(partition) ?? 0)) progressAt_ms = clock.now_ms();
        if (nextOffset >= (ends.get(partition) ?? 0)) positions.delete(partition);
        else positions.set(partition, nextOffset);
      }
      const within = batches.map((batch) => upTo(batch, ends.get(batch.partition) ?? 0));
      const given_ms = clock.now_ms();
      if (within.length > 0) yield within;
      // The time that the caller takes must not count as a standstill of the log.
      progressAt_ms += clock.now_ms() - given_ms;
      if (reader.isThrottled) progressAt_ms = clock.now_ms();
      if (clock.now_ms() - progressAt_ms > READ_STALL_MS_MAX) throw stalled(topic.name, positions, away, failure);
      if (failure) await clock.sleep(backoff.next_ms(), signal);
      else backoff.reset();
    }
  } finally {
    await reader.close();
  }
}

export const interrupted = (): AppError => new AppError("INTERRUPTED", "It was interrupted.");

const limitsFor = (partitions: number) => ({
  wait_ms_max: FETCH_WAIT_MS_MAX,
  partition_bytes_max: Math.max(PARTITION_BYTES_MIN, Math.min(PARTITION_BYTES_MAX, Math.floor(ANSWER_BYTES_MAX / partitions))),
});

function batchOf(topic: string, result: ComparedResult, away: Map<number, string>): Batch | undefined {
  const { partition } = result;
  if ("batch" in result) {
    away.delete(partition);
    return result.batch;
  }
  if ("unavailable" in result) {
    away.set(partition, result.unavailable);
    return undefined;
  }
  if ("unreadable" in result)
    throw new AppError("LOG_DISAGREES", `Partition ${partition} of ${topic} cannot be read: ${result.unreadable}`);
  const { startOffset, endOffset } = result.outOfRange;
  const message = `Partition ${partition} of ${topic} now goes from ${startOffset} to ${endOffset}: records were deleted meanwhile. What is moved keeps its time, so a topic for it needs retention.ms=-1.`;
  throw new AppError("OFFSET_OUT_OF_RANGE", message);
}

const upTo = (batch: Batch, to: number): Batch => (batch.nextOffset <= to ? batch : cutBatch(batch, batch.baseOffset, to));

function stalled(
  topic: string,
  positions: ReadonlyMap<number, number>,
  away: ReadonlyMap<number, string>,
  failure: unknown,
): AppError {
  const places = [...positions].map(([partition, offset]) => formatLogPosition({ partition, offset }));
  const more = places.length > STALLED_SHOWN_MAX ? ` and ${places.length - STALLED_SHOWN_MAX} more` : "";
  const where = `${places.slice(0, STALLED_SHOWN_MAX).join(", ")}${more}`;
  const [reason] = [...positions.keys()].flatMap((partition) => away.get(partition) ?? []);
  const why = failure instanceof Error ? failure.message : (reason ?? "A transaction may be open there.");
  const message = `${topic} gave no record for ${READ_STALL_MS_MAX / 1_000} s at ${where} (partition:offset). ${why}`;
  return new AppError("LOG_UNAVAILABLE", message, {}, failure);
}
