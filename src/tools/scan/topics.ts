import { AppError, isAppError } from "../../errors.ts";
import { Backoff } from "../../log/backoff.ts";
import { isMadeAnew, type KnownTopic, madeAnew } from "../../log/read/comparing-reader.ts";
import type { Watermarks } from "../../log/port.ts";
import type { OperationEnvironment } from "../environment.ts";
import { interrupted, type OffsetRange } from "./scan.ts";

/** A topic as it is now. One without partitions does not exist. */
export interface TopicNow extends KnownTopic {
  readonly marks: readonly Watermarks[];
}

/** The longest wait at an operation's start, for partitions whose leader is being elected. */
const START_WAIT_MS_MAX = 10_000;

/** Calls `ask`, and calls it again while the log cannot be reached, for at most `wait_ms_max`. */
export async function retryOutage<T>(env: OperationEnvironment, wait_ms_max: number, ask: () => Promise<T>): Promise<T> {
  const { clock, random, signal } = env;
  const backoff = new Backoff(env.backoff, random);
  for (const deadline_ms = clock.now_ms() + wait_ms_max; ;) {
    try {
      return await ask();
    } catch (e) {
      if (signal.aborted) throw interrupted();
      if (!isAppError(e, "LOG_UNAVAILABLE") || clock.now_ms() > deadline_ms) throw e;
      await clock.sleep(backoff.next_ms(), signal);
    }
  }
}

/** Reads the topic's watermarks. Throws LOG_UNAVAILABLE, which names the partitions, where some are not known now. */
export async function topicNow({ log }: OperationEnvironment, name: string): Promise<TopicNow> {
  const { topicId, partitions } = await log.ends(name);
  const marks = partitions.flatMap((ends) => ("unavailable" in ends ? [] : ends));
  const away = partitions.flatMap((ends, partition) =>
    "unavailable" in ends ? `partition ${partition}: ${ends.unavailable}` : [],
  );
  if (away.length > 0) throw new AppError("LOG_UNAVAILABLE", `${name} cannot be read whole now: ${some(away)}`);
  return { name, topicId, marks };
}

const AWAY_SHOWN_MAX = 5;
const some = (list: readonly string[]): string =>
  list.length <= AWAY_SHOWN_MAX
    ? list.join(" ")
    : `${list.slice(0, AWAY_SHOWN_MAX).join(" ")} And ${list.length - AWAY_SHOWN_MAX} more.`;

/** Reads the topic at an operation's start. Throws OPERATION_REFUSED where it does not exist. */
export async function existingTopic(env: OperationEnvironment, name: string): Promise<TopicNow> {
  const topic = await retryOutage(env, START_WAIT_MS_MAX, () => topicNow(env, name));
  if (topic.marks.length > 0) return topic;
  throw new AppError("OPERATION_REFUSED", `There is no topic ${name} in the log (${env.log_name}).`);
}

/**
 * Reads again a topic that was read before. Throws LOG_DISAGREES where it was deleted and created again, or now ends
 * before the end of one of `ranges`, which it had.
 */
export async function sameTopic(
  env: OperationEnvironment,
  known: KnownTopic,
  ranges: readonly OffsetRange[] = [],
): Promise<TopicNow> {
  const topic = await topicNow(env, known.name);
  if (topic.marks.length === 0) throw new AppError("OPERATION_REFUSED", `There is no topic ${known.name} any more.`);
  if (isMadeAnew(known, topic.topicId)) throw madeAnew(known.name);
  const cut = ranges.find(({ partition, from, to }) => from < to && (topic.marks[partition]?.endOffset ?? 0) < to);
  if (!cut) return topic;
  const end = topic.marks[cut.partition]?.endOffset ?? 0;
  throw new AppError(
    "LOG_DISAGREES",
    `Partition ${cut.partition} of ${known.name} ends at offset ${end} and had records up to ${cut.to - 1} when this began: the log lost them. Begin again.`,
  );
}
