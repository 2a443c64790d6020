import type { Clock } from "../clock.ts";
import { Backoff, type BackoffLimits } from "../log/backoff.ts";
import type { Log } from "../log/log.ts";
import type { Random } from "../random.ts";

export interface TopicsOptions {
  readonly log: Log;
  readonly topic: string;
  readonly deadLetterTopic: string;
  readonly topic_partitions: number;
  readonly backoff: BackoffLimits;
  readonly clock: Clock;
  readonly random: Random;
  /** Told once per outage why there is nothing to do yet. */
  readonly onWaiting: (reason: string) => void;
}

/** Room for a dead letter's headers beside a record that is as large as its own topic allows. */
export const DEAD_LETTER_BYTES_MAX = 2 * 1024 * 1024;

/**
 * Creates the two topics where they are missing, trying for as long as it takes. The dead letters get as many partitions as
 * the topic has. Resolves with the log's id, undefined when `signal` aborted first.
 */
export async function prepareTopics(options: TopicsOptions, signal: AbortSignal): Promise<string | undefined> {
  const { log, topic, deadLetterTopic, clock, random } = options;
  const backoff = new Backoff(options.backoff, random);
  for (let told = false; !signal.aborted; told = true) {
    try {
      await log.createTopic(topic, options.topic_partitions);
      const count = await log.partitionCount(topic);
      await log.createTopic(deadLetterTopic, count, { record_bytes_max: DEAD_LETTER_BYTES_MAX });
      return await log.id();
    } catch (e) {
      if (!told) options.onWaiting(e instanceof Error ? e.message : String(e));
      await clock.sleep(backoff.next_ms(), signal);
    }
  }
  return undefined;
}
