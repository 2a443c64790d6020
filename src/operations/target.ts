import { AppError, isAppError } from "../errors.ts";
import { Backoff } from "../log/backoff.ts";
import type { OperationEnvironment } from "./environment.ts";
import { interrupted } from "./scan.ts";

/** Room for the headers beside a record that is as large as its own topic allows. */
const RECORD_BYTES_MAX = 2 * 1024 * 1024;
/** A topic that was just created has no leaders for a moment, on a busy broker for seconds. */
const CREATE_MS_MAX = 30_000;

/**
 * Creates the topic where it is missing, and resolves with the ends of its partitions once all can be written to. Throws
 * OPERATION_REFUSED where it has fewer partitions than that, LOG_UNAVAILABLE after CREATE_MS_MAX.
 */
export async function prepareTarget(env: OperationEnvironment, topic: string, partitions: number): Promise<number[]> {
  const { log, clock, random, signal } = env;
  const backoff = new Backoff(env.backoff, random);
  for (const started_ms = clock.now_ms(); ;) {
    try {
      await log.createTopic(topic, partitions, { record_bytes_max: RECORD_BYTES_MAX });
      const ends = (await log.watermarks(topic)).map(({ endOffset }) => endOffset);
      if (ends.length >= partitions) return ends;
      const message = `${topic} has ${ends.length} partitions, and ${partitions} are needed: give another --target, or add partitions.`;
      throw new AppError("OPERATION_REFUSED", message);
    } catch (e) {
      if (signal.aborted) throw interrupted();
      if (!isAppError(e, "LOG_UNAVAILABLE") || clock.now_ms() - started_ms > CREATE_MS_MAX) throw e;
      await clock.sleep(backoff.next_ms(), signal);
    }
  }
}
