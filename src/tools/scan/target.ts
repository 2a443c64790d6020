import { AppError } from "../../errors.ts";
import { formatLogPosition } from "../../log/log-position.ts";
import type { CreatedTopic, TopicDescription } from "../../log/port.ts";
import { timeText } from "../../log/timestamp.ts";
import type { OperationEnvironment } from "../environment.ts";
import type { Extent } from "./extent.ts";
import type { Console } from "../terminal/progress.ts";
import { counted } from "../terminal/table.ts";
import { retryOutage, type TopicNow, topicNow } from "./topics.ts";

/** What is to be written to a target. */
export interface Cargo {
  readonly partitions: number;
  readonly extent: Extent;
  /** The topic that the records come from. A target that is created takes records as large as this topic does. */
  readonly source: string | undefined;
}

/** The largest batch that a created target takes, unless the source or its records need more. */
const BATCH_BYTES_MAX = 2 * 1024 * 1024;
/**
 * Room in a batch for further records beside one of the largest size that its topic allows, and for the headers added.
 */
const ROOM_BYTES = 64 * 1024;
const ADDED_BYTES_MAX = 512;
/** A topic that was just created has no leaders for a moment, and on a busy broker for seconds. */
const CREATE_MS_MAX = 30_000;
/** The value of a topic's retention that keeps records for ever. */
const FOR_EVER = -1;

/**
 * Creates the target, if it is missing, so that it takes the source's records. Resolves once all its partitions can be
 * written to. Throws OPERATION_REFUSED where an existing target would refuse, change or delete records or has too few
 * partitions, and LOG_UNAVAILABLE after CREATE_MS_MAX.
 */
export async function prepareTarget(env: OperationEnvironment, console: Console, name: string, cargo: Cargo): Promise<TopicNow> {
  const existing = await retryOutage(env, CREATE_MS_MAX, () => env.log.describe(name));
  if (existing) fitOrRefuse(env, console, name, existing, cargo.extent);
  const record_bytes_max = existing ? undefined : await batchBytesFor(env, cargo);
  return retryOutage(env, CREATE_MS_MAX, async () => {
    const options = { anyTimestamp: true, record_bytes_max, replicas: env.topic_replication };
    const created = existing ? undefined : await env.log.createTopic(name, cargo.partitions, options);
    if (created) console.say(`${name} was made: ${described(created)}.`);
    const target = await topicNow(env, name);
    const { length } = target.marks;
    if (length >= cargo.partitions) return target;
    const message = `${name} has ${length} partitions, and ${cargo.partitions} are needed: give another --target, or add partitions.`;
    throw new AppError(length === 0 ? "LOG_UNAVAILABLE" : "OPERATION_REFUSED", message);
  });
}

const described = ({ partitions, replicas, settings }: CreatedTopic): string =>
  [
    `${partitions} partitions`,
    ...(replicas === undefined ? [] : [`${replicas} replicas`]),
    ...Object.entries(settings).map(([name, value]) => `${name}=${value}`),
  ].join(", ");

async function batchBytesFor({ log }: OperationEnvironment, { source, extent }: Cargo): Promise<number> {
  const sourceMax = source === undefined ? 0 : (batchBytesMax(await log.describe(source)) ?? 0);
  return Math.max(BATCH_BYTES_MAX, sourceMax + ROOM_BYTES, (extent.largest?.bytes ?? 0) + ROOM_BYTES);
}

/** The largest batch that the topic takes; undefined where the log has no such bound. */
export const batchBytesMax = (topic: TopicDescription | undefined): number | undefined =>
  numberOf(topic?.settings ?? {}, "max.message.bytes");

function fitOrRefuse(env: OperationEnvironment, console: Console, name: string, topic: TopicDescription, extent: Extent): void {
  const wall_ms = env.clock.wall_ms();
  const objections = [...objectionsToSize(topic, extent), ...objectionsToTimes(topic, extent, wall_ms)];
  if (objections.length > 0) {
    const message = `${name} would not take or keep what is to be written: ${objections.join("; ")}. Alter its settings, or give another --target.`;
    throw new AppError("OPERATION_REFUSED", message);
  }
  for (const limit of ["retention.ms", "retention.bytes"]) {
    const value = numberOf(topic.settings, limit);
    if (value !== undefined && value !== FOR_EVER)
      console.say(`${name} does not keep its records for ever (${limit}=${value}): what is written there will be deleted.`);
  }
}

/** Why the topic would not take records of that size, as sentences without a full stop. */
export function objectionsToSize(topic: TopicDescription, { largest }: Extent): string[] {
  const most = batchBytesMax(topic);
  if (most === undefined || largest === undefined || largest.bytes + ADDED_BYTES_MAX <= most) return [];
  const { bytes } = largest;
  const needed = bytes + ADDED_BYTES_MAX;
  return [
    `the record at ${formatLogPosition(largest)} takes up to ${counted(needed)} bytes, and max.message.bytes=${most} (it needs ${needed})`,
  ];
}

function objectionsToTimes({ settings }: TopicDescription, { oldest, newest }: Extent, wall_ms: number): string[] {
  const objections: string[] = [];
  if (settings["message.timestamp.type"] === "LogAppendTime")
    objections.push("message.timestamp.type=LogAppendTime puts times of its own in their place (it needs CreateTime)");
  if (settings["cleanup.policy"]?.includes("compact"))
    objections.push(`cleanup.policy=${settings["cleanup.policy"]} deletes all but the last record of a key (it needs delete)`);
  if (oldest === undefined || newest === undefined) return objections;
  const before_ms = numberOf(settings, "message.timestamp.before.max.ms") ?? Number.POSITIVE_INFINITY;
  if (oldest < wall_ms - before_ms)
    objections.push(`one record is of ${timeText(oldest)}, too old for message.timestamp.before.max.ms=${before_ms}`);
  const after_ms = numberOf(settings, "message.timestamp.after.max.ms") ?? Number.POSITIVE_INFINITY;
  if (newest > wall_ms + after_ms)
    objections.push(`one record is of ${timeText(newest)}, too late for message.timestamp.after.max.ms=${after_ms}`);
  const kept_ms = numberOf(settings, "retention.ms") ?? FOR_EVER;
  if (kept_ms !== FOR_EVER && oldest < wall_ms - kept_ms)
    objections.push(`one record is of ${timeText(oldest)} and retention.ms=${kept_ms} deletes it at once (it needs -1)`);
  return objections;
}

function numberOf(settings: Readonly<Record<string, string>>, name: string): number | undefined {
  const value = settings[name];
  return value === undefined || !/^-?[0-9]+$/.test(value) ? undefined : Number(value);
}
