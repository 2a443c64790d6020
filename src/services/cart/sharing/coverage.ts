import { type CommittedOffset, committedWith, toldWith } from "../../../log/membership.ts";
import { AppError } from "../../../errors.ts";
import { mayHave, type PlacedBy } from "../index/strays.ts";
import type { TopicEnds } from "../../../log/port.ts";
import type { PartitionView } from "../../../runtime/held-partitions.ts";

/** What the owner of a partition's index tells the other carts, with the offset that it commits to the group. */
export interface IndexCommit {
  /** Everything before it is in the index. */
  readonly nextOffset: number;
  readonly topicId: string | undefined;
  readonly placedBy: PlacedBy;
}

export const indexCommitted = ({ nextOffset, ...told }: IndexCommit): CommittedOffset => committedWith(nextOffset, told);

/** Undefined if the owner did not say by which counts, which it may not know. */
function indexCommit(committed: CommittedOffset): IndexCommit | undefined {
  const { topicId, placedBy } = toldWith(committed);
  if (!Array.isArray(placedBy) || !placedBy.every(Number.isSafeInteger)) return undefined;
  return { nextOffset: committed.nextOffset, topicId: typeof topicId === "string" ? topicId : undefined, placedBy };
}

/** How far an index must have been read: all that this leader had before the offset. */
export interface ReadUpTo {
  readonly offset: number;
  readonly leaderEpoch: number;
}

const NOTHING: ReadUpTo = { offset: 0, leaderEpoch: 0 };

type Reader = Pick<PartitionView, "nextOffset" | "endOffset" | "state" | "leaderEpoch">;

/**
 * Whether an index was read that far, or to the end of a later leader, which may have lost what the one before it had.
 */
export const hasRead = ({ nextOffset, endOffset, state, leaderEpoch }: Reader, upTo: ReadUpTo): boolean =>
  nextOffset >= upTo.offset || (state === "running" && leaderEpoch > upTo.leaderEpoch && nextOffset >= endOffset);

/**
 * How far each partition's index must have been read for this cart to place creates, whoever holds it; and whether an
 * order that does not belong in a partition of other carts must be looked for there all the same.
 *
 * ```
 *  nothing known: every partition is asked ──begin(), hear()──▶ of those read far enough, only where an order may be
 *                                                                └── settle() ──▶ read farther than that
 * ```
 */
export class Coverage {
  #topicId: string | undefined;
  /** By partition, how far its index must have been read to be of use to this cart. */
  #required: readonly ReadUpTo[] | undefined;
  #commits: ReadonlyMap<number, IndexCommit> = new Map();

  /** Takes where the log ended when this cart began. A partition that cannot be asked now holds nobody up. */
  begin({ topicId, partitions }: TopicEnds): void {
    this.#topicId = topicId;
    this.#required = partitions.map((ends) =>
      "unavailable" in ends ? NOTHING : { offset: ends.stableOffset, leaderEpoch: ends.leaderEpoch },
    );
  }

  /**
   * Takes where the log ended when this cart was about to place creates by another partition count: before that, others
   * may have placed by the one before. It is called once this cart's own indexes are read to there, but for those that
   * others had meanwhile, and given what the log holds `now`. Throws LOG_UNAVAILABLE if where it ended is not known, or
   * not all before that can be read yet.
   */
  settle({ topicId, partitions }: TopicEnds, now: TopicEnds): void {
    const required = partitions.map((ends, partition) => {
      const later = now.partitions[partition];
      // A transaction that was open has ended by now, unless it is a long one.
      const isReadable =
        !("unavailable" in ends) &&
        [ends, later].some((one) => one && "stableOffset" in one && one.stableOffset >= ends.endOffset);
      if (isReadable) return { offset: ends.endOffset, leaderEpoch: ends.leaderEpoch };
      throw new AppError("LOG_UNAVAILABLE", `What partition ${partition} holds cannot be known now.`, { partition });
    });
    this.#topicId = topicId;
    this.#required = required;
  }

  /** Whether it was told where the log ended. */
  get isBegun(): boolean {
    return this.#required !== undefined;
  }

  /** Takes what the owners have committed. */
  hear(committed: ReadonlyMap<number, CommittedOffset>): void {
    this.#commits = new Map(
      [...committed].flatMap(([partition, offset]) => {
        const commit = indexCommit(offset);
        return commit === undefined ? [] : [[partition, commit] as const];
      }),
    );
  }

  /** How far the partition's index must have been read to answer, whoever holds it. */
  requiredOf(partition: number): ReadUpTo {
    return this.#required?.[partition] ?? NOTHING;
  }

  /** Whether this cart's own index has what others placed there before this cart began to place by more partitions. */
  isReachedBy(held: PartitionView): boolean {
    return hasRead(held, this.requiredOf(held.partition));
  }

  /** Whether the partition may have an order that carts create elsewhere. */
  mayHave(partition: number, hash: number): boolean {
    const commit = this.#commits.get(partition);
    const required = this.#required?.[partition];
    if (commit === undefined || required === undefined || commit.topicId !== this.#topicId) return true;
    return commit.nextOffset < required.offset || mayHave(commit.placedBy, partition, hash);
  }
}
