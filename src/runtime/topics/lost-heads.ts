import type { PartitionEnds } from "../../log/port.ts";
import type { TopicConcern } from "./topic-concerns.ts";

/** A partition whose first records the log has lost although the state has them. */
export interface LostHead {
  readonly partition: number;
  /** Where the log begins now. */
  readonly startOffset: number;
}

interface Held {
  readonly partition: number;
  /** The first offset of the state. */
  readonly startedAt: number;
  /** False while the store is not open. */
  readonly hasStore: boolean;
  /** The newest snapshot of the store, if one is known. */
  readonly snapshot?: { readonly offset: number } | undefined;
}

/** At most this many partitions are named. */
const NAMED_MAX = 3;

/**
 * The log's start is compared with where the state began: a state that began late lacks only what was accepted then.
 * Where a snapshot has what is gone, nothing is lost.
 */
export const lostHeads = (held: Iterable<Held>, ends: readonly PartitionEnds[]): LostHead[] =>
  [...held].flatMap(({ partition, startedAt, hasStore, snapshot }) => {
    const told = ends[partition];
    if (told !== undefined && "startOffset" in told && (snapshot?.offset ?? 0) >= told.startOffset) return [];
    if (!hasStore || told === undefined || "unavailable" in told || told.startOffset <= startedAt) return [];
    return [{ partition, startOffset: told.startOffset }];
  });

/**
 * Warns that retention or DeleteRecords cut the topic, which nothing else shows as long as the state itself is whole.
 */
export function lostHeadConcern(topic: string, heads: readonly LostHead[]): TopicConcern | undefined {
  if (heads.length === 0) return undefined;
  const named = heads
    .slice(0, NAMED_MAX)
    .map(({ partition, startOffset }) => `partition ${partition} begins at offset ${startOffset}`);
  const left = heads.length - named.length;
  const which = named.join(", ") + (left > 0 ? `, and ${left} more` : "");
  const what = `The topic ${topic} has lost its first records (${which}): the state could not be rebuilt from it, and a service that has none yet halts there.`;
  const advice = `Keep what deletes them from going on (retention.ms, retention.bytes, DeleteRecords), and have snapshots taken (SNAPSHOT_URL), from which a state is made without them. To do without those records, start the services with LOG_START=accept.`;
  const about = `partitions ${heads.map(({ partition }) => partition).join(", ")}`;
  return { code: "first-records-lost", isWarning: true, what, message: `${what} ${advice}`, about };
}
