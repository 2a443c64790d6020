import type { PartitionEnds, TopicEnds } from "../../log/port.ts";
import { reach, type SnapshotManifest, type SnapshotSubject } from "./manifest.ts";

/**
 * Why a snapshot is not one of this store, or the log does not go on from where it ends; undefined if it can be
 * restored. One that is ahead of the log, or whose last record the log has not, fits: it is opened and compared with
 * the log as a store is after a restart, and its partition halts, since the log has lost what was applied (I7).
 */
export function misfit(manifest: SnapshotManifest, subject: SnapshotSubject, ends: TopicEnds): string | undefined {
  const { kind, positions } = manifest;
  if (manifest.logId !== subject.logId) return `it is of the log ${manifest.logId}, not ${subject.logId}`;
  if (manifest.topic !== subject.topic) return `it is of the topic ${manifest.topic}, not ${subject.topic}`;
  if (manifest.partition !== subject.partition)
    return `it is of partition ${manifest.partition}, not of partition ${subject.partition}`;
  if (kind.name !== subject.kind.name || kind.version !== subject.kind.version)
    return `it holds ${kind.name} in version ${kind.version}, not ${subject.kind.name} in version ${subject.kind.version}`;
  for (const { partition, nextOffset, topicId } of positions) {
    if (topicId !== undefined && ends.topicId !== undefined && topicId !== ends.topicId)
      return `it is of the topic that was deleted, ${topicId}, and not of ${ends.topicId}, which has its name now`;
    const start = startOf(ends.partitions[partition]);
    if (start === undefined) continue;
    if (nextOffset < start)
      return `it ends at offset ${nextOffset} of partition ${partition}, and the log begins at offset ${start}`;
  }
  const foreign = positions.find(({ partition }) => partition !== subject.partition);
  return foreign && `it has a position of partition ${foreign.partition}`;
}

/** Where the partition begins; undefined if the log does not tell now. */
const startOf = (ends: PartitionEnds | undefined): number | undefined =>
  ends === undefined || "unavailable" in ends ? undefined : ends.startOffset;

/** What is known of a snapshot when others are deleted. */
export interface KeptCandidate {
  readonly name: string;
  /** Undefined: it cannot be read, or parts of it are missing. */
  readonly manifest: SnapshotManifest | undefined;
}

/**
 * The snapshots that may be deleted once `verified` is known to be good: all but that one and the next `kept - 1` good
 * ones before it. What is as far as the verified one or further is left alone, whoever took it, and so is what is of
 * another topic of that name.
 */
export function superseded(verified: SnapshotManifest, candidates: readonly KeptCandidate[], kept: number): string[] {
  const topicId = topicIdOf(verified);
  const older = candidates
    .filter(({ manifest }) => manifest === undefined || (topicIdOf(manifest) === topicId && reach(manifest) < reach(verified)))
    .toSorted((a, b) => (a.name < b.name ? 1 : -1));
  const deleted: string[] = [];
  let good = 1;
  for (const { name, manifest } of older) {
    // One that cannot be read counts as older than every good one only once enough of those are kept.
    if (good >= kept) deleted.push(name);
    else if (manifest !== undefined) good++;
  }
  return deleted;
}

const topicIdOf = ({ positions }: SnapshotManifest): string | undefined => positions.find(({ topicId }) => topicId)?.topicId;
