import { AppError } from "../../../errors.ts";
import type { Members, Peer } from "../../../fleet/members.ts";
import type { HeldPartitions } from "../../../runtime/held-partitions.ts";
import type { Coverage } from "./coverage.ts";

/** Which carts have the index of a partition, as this one sees it. */
export class Holders {
  constructor(
    private readonly partitions: Pick<HeldPartitions, "get">,
    private readonly coverage: Pick<Coverage, "isReachedBy">,
    /** Absent if this cart has the indexes of all partitions, whoever else does. */
    private readonly members: Members | undefined,
  ) {}

  /** The other carts to ask about the partition, the best one first. */
  peersOf(partition: number): readonly Peer[] {
    return this.members?.holdersOf(partition) ?? [];
  }

  /**
   * Whether this cart has read the partition, so that it may be asked about it. One that is complete may all the same
   * lack what others placed there before this cart began to place by more partitions, which is later than it was opened.
   */
  isHere(partition: number): boolean {
    const held = this.partitions.get(partition);
    if (held === undefined) return false;
    return held.state === "halted" || (held.isComplete && this.coverage.isReachedBy(held));
  }

  /** Whether the partition's index here lacks something that this cart must know. */
  isShort(partition: number): boolean {
    const held = this.partitions.get(partition);
    return held !== undefined && !this.coverage.isReachedBy(held);
  }

  isHaltedShort(partition: number): boolean {
    return this.partitions.get(partition)?.state === "halted" && this.isShort(partition);
  }

  /**
   * Whether other carts are to be asked about the partition, as this one has not read it, or not yet. One that only a
   * person can set going again is not asked for elsewhere: the others see the same log.
   */
  isElsewhere(partition: number): boolean {
    // The cheaper question first, as a create may ask it of all partitions.
    return this.peersOf(partition).length > 0 && !this.isHere(partition);
  }
}

/** Says that a command must be carried out where the index of this partition is. Carts tell it each other. */
export const indexElsewhere = (partition: number): AppError =>
  new AppError("PARTITION_ELSEWHERE", `The index of partition ${partition} is held by another cart.`, { partition });

/** Where a cart says that a command must be carried out; undefined if the error is another one. */
export const elsewhereIn = (e: unknown): number | undefined => {
  if (!(e instanceof AppError) || e.code !== "PARTITION_ELSEWHERE") return undefined;
  const { partition } = e.extra;
  return typeof partition === "number" ? partition : undefined;
};
