import { type Clock, within } from "../../../system/clock.ts";
import { AppError } from "../../../errors.ts";
import type { LogPosition } from "../../../log/log-position.ts";
import type { Log } from "../../../log/port.ts";
import type { HeldPartitions, PartitionView } from "../../../runtime/held-partitions.ts";
import { isCurrent, isSound, unavailableError } from "./soundness.ts";
import { type Newest, NewestEnds, toldEnd } from "../../../runtime/read/newest-ends.ts";

export interface IndexProgressOptions {
  readonly partitions: HeldPartitions;
  readonly log: Pick<Log, "endOffsets">;
  readonly topic: string;
  /** Whether another cart's index counts for the partition, so that this one's is not waited for. */
  readonly isElsewhere: (partition: number) => boolean;
  /** Whether the partition's index lacks what it must have before it counts as read, although it is complete. */
  readonly isShort: (partition: number) => boolean;
  readonly clock: Clock;
}

/** How often to check whether a partition can answer; one timer serves all that wait. */
const LOOK_WAIT_MS = 20;
/**
 * What hinders a partition may pass quickly, for example an election of its leader. After this time, waiting requests
 * would only take the room of others.
 */
const HINDERED_WAIT_MS_MAX = 1_000;
/** How long to wait for the newest records of partitions that need not be read to their ends. */
const OTHERS_WAIT_MS_MAX = 250;

/** Returns the offset before which all records of a partition are known. */
export type KnownEnd = (partition: number) => number;

/**
 * How far the index has read each partition, and whether its rows of that partition may be answered from. Whatever
 * waits here rejects with what hinders the partition: at its deadline, or at once if waiting is hopeless.
 */
export class IndexProgress {
  readonly #ends: NewestEnds;
  /**
   * For each partition, the last own record that could not be read back in time. Until it has been read, reading is
   * known to be too slow for another one.
   */
  readonly #unread = new Map<number, number>();
  /** The id of the topic that the log had at first. If the log has another one, the partitions halt. */
  #topicId: string | undefined;
  #looking: Promise<void> | undefined;

  constructor(private readonly options: IndexProgressOptions) {
    this.#ends = new NewestEnds(options.log, options.topic, options.clock);
  }

  /**
   * Whether every partition that no other cart answers for has been read to its end once. Until then, an order may lie unread in a partition other
   * than the one the partitioner gives: another program may have created it, or partitions may have been added since.
   * A halted partition does not hold up the others: no create is placed by a new partition count until all are read that
   * no other cart answers for (decision 7), and one that others answered for then is asked of them (decision 38).
   */
  get isComplete(): boolean {
    return this.options.partitions.partitionCount > 0 && this.#firstUnread() === undefined;
  }

  /**
   * Whether this cart's own index has every partition, none is halted, and none lacks anything. Then no other cart need be
   * asked (I8): each partition is one that `Elsewhere.mayHave` leaves out.
   */
  get isAllHere(): boolean {
    const { partitionCount } = this.options.partitions;
    for (let partition = 0; partition < partitionCount; partition++) if (!this.#isComplete(partition)) return false;
    return partitionCount > 0;
  }

  untilComplete(deadline_ms: number): Promise<void> {
    return this.#until(
      () => this.isComplete,
      () => this.#firstUnread() ?? 0,
      this.#shortenIfHindered(this.#firstUnread() ?? 0, deadline_ms),
    );
  }

  #shortenIfHindered(partition: number, deadline_ms: number): number {
    const isHindered = this.#held(partition)?.hindered !== undefined;
    return isHindered ? Math.min(deadline_ms, this.options.clock.now_ms() + HINDERED_WAIT_MS_MAX) : deadline_ms;
  }

  /** Whether the index follows the partition, so that a create there can be decided. */
  isCurrent(partition: number): boolean {
    return isCurrent(this.#held(partition)) && !this.#isBehind(partition) && this.options.partitions.readFailure === undefined;
  }

  #isBehind(partition: number): boolean {
    const unread = this.#unread.get(partition);
    if (unread === undefined) return false;
    if ((this.#held(partition)?.nextOffset ?? 0) <= unread) return true;
    this.#unread.delete(partition);
    return false;
  }

  untilCurrent(partition: number, deadline_ms: number): Promise<void> {
    return this.#until(
      () => this.isCurrent(partition),
      () => partition,
      this.#shortenIfHindered(partition, deadline_ms),
    );
  }

  /** Whether the index's rows of the partition may be answered from. */
  isSound(partition: number): boolean {
    return isSound(this.#held(partition));
  }

  untilSound(partition: number, deadline_ms: number): Promise<void> {
    return this.#until(
      () => this.isSound(partition),
      () => partition,
      deadline_ms,
    );
  }

  /**
   * Resolves with whether the record at `position` was read before `deadline_ms` and the partition is sound; at once with
   * false if it is not and another cart's index came to count for it.
   */
  async hasPassed({ partition, offset }: LogPosition, deadline_ms: number): Promise<boolean> {
    if (!(await this.#reached(partition, offset + 1, deadline_ms))) {
      this.#unread.set(partition, offset);
      return false;
    }
    return this.#untilSoundOrElsewhere(partition, deadline_ms).then(
      () => this.isSound(partition),
      () => false,
    );
  }

  /**
   * Resolves once the index knows everything that the partitions in `homes` held when this was called. Of the other
   * partitions it needs only what they held when they were last heard of. If `homes` is undefined, every partition
   * counts as one of them. Those whose index another cart had meanwhile, be it for a moment, are left out, and returned.
   */
  async untilEnd(homes: readonly number[] | undefined, known: KnownEnd, deadline_ms: number): Promise<readonly number[]> {
    const { isElsewhere, partitions } = this.options;
    const isHere = (partition: number): boolean => !isElsewhere(partition);
    const here = Array.from({ length: partitions.partitionCount }, (_, partition) => partition).filter(isHere);
    const asked = new Set(here);
    const newest = await this.#newest(homes?.filter(isHere), here, deadline_ms);
    const read = async (partition: number): Promise<boolean> => {
      const isHome = !homes || homes.includes(partition);
      // It may have become this cart's only now.
      const told = asked.has(partition) ? newest : await this.#newest(isHome ? [partition] : [], [partition], deadline_ms);
      return isHome ? this.#readToEnd(partition, told, known, deadline_ms) : this.#readSome(partition, told, known, deadline_ms);
    };
    const isRead = async (partition: number): Promise<boolean> => {
      if (!isHere(partition)) return false;
      try {
        return await read(partition);
      } catch (e) {
        // It may have become another cart's meanwhile.
        if (isHere(partition)) throw e;
        return false;
      }
    };
    const areRead = await Promise.all(newest.stable.map((_, partition) => isRead(partition)));
    return [...areRead.keys()].filter((partition) => areRead[partition] === false);
  }

  /** Resolves once the index knows everything that one partition held when this was called. */
  async untilEndOf(partition: number, known: KnownEnd, deadline_ms: number): Promise<void> {
    await this.#readToEnd(partition, await this.#newest([partition], [], deadline_ms), known, deadline_ms);
  }

  /** Like `untilEndOf`, but of what the partition held when it was last heard of all, and of its newest records briefly. */
  async untilNewestOf(partition: number, known: KnownEnd, deadline_ms: number): Promise<void> {
    await this.#readSome(partition, await this.#newest([], [partition], deadline_ms), known, deadline_ms);
  }

  async #newest(homes: readonly number[] | undefined, others: readonly number[], deadline_ms: number): Promise<Newest> {
    const { clock, partitions } = this.options;
    if (partitions.partitionCount === 0 && partitions.readFailure !== undefined) throw unavailableError(partitions, 0);
    const newest = await within(clock, deadline_ms - clock.now_ms(), this.#ends.ask(homes, others));
    if (!newest) throw new AppError("LOG_UNAVAILABLE", "The log did not tell its end in time; try again.");
    if (newest.stable.length === 0) throw new AppError("CATCHING_UP", "The topic is not there yet; try again.");
    this.#topicId ??= newest.topicId;
    if (newest.topicId !== this.#topicId)
      throw (
        this.hindrance() ?? new AppError("LOG_UNAVAILABLE", "The topic was made anew; what the index has read is of another one.")
      );
    return newest;
  }

  /** Resolves once that is so of the partition. Rejects with what hinders it. */
  until(partition: number, holds: () => boolean, deadline_ms: number): Promise<void> {
    return this.#until(holds, () => partition, deadline_ms);
  }

  /** Why the first partition that the index does not follow is not followed. */
  hindrance(): AppError | undefined {
    const { partitions } = this.options;
    for (let partition = 0; partition < partitions.partitionCount; partition++)
      if (!isCurrent(this.#held(partition)) && !this.options.isElsewhere(partition))
        return unavailableError(partitions, partition);
    return undefined;
  }

  /** Resolves with false if another cart's index came to count for the partition meanwhile. */
  async #readToEnd(partition: number, newest: Newest, known: KnownEnd, deadline_ms: number): Promise<boolean> {
    const { clock } = this.options;
    const end = await toldEnd(clock, newest.ends[partition], deadline_ms - clock.now_ms());
    if (end === undefined) throw unavailableError(this.options.partitions, partition);
    if ("unavailable" in end) {
      const message = `What partition ${partition} holds is not known now: ${end.unavailable}`;
      throw new AppError("LOG_UNAVAILABLE", message, { partition });
    }
    await this.#untilFollowed(partition, end.leaderEpoch, deadline_ms);
    const { isElsewhere } = this.options;
    if (isElsewhere(partition)) return false;
    if (known(partition) >= end.endOffset || (await this.#reached(partition, end.endOffset, deadline_ms))) {
      await this.#untilSoundOrElsewhere(partition, deadline_ms);
      return !isElsewhere(partition);
    }
    const error = unavailableError(this.options.partitions, partition);
    const stable = newest.stable[partition];
    if (error.code !== "CATCHING_UP" || !stable || !("endOffset" in stable) || stable.endOffset >= end.endOffset) throw error;
    const message = `Partition ${partition} has records from offset ${stable.endOffset} on that cannot be read yet: another program's transaction is open there. Try again.`;
    throw new AppError("LOG_UNAVAILABLE", message, { partition });
  }

  /**
   * An index that was read from another leader says nothing about what a new leader holds, however far it has read.
   */
  async #untilFollowed(partition: number, leaderEpoch: number, deadline_ms: number): Promise<void> {
    const { clock } = this.options;
    const { isElsewhere } = this.options;
    for (;;) {
      await this.#untilSoundOrElsewhere(partition, deadline_ms);
      const held = this.#held(partition);
      if (!held || isElsewhere(partition) || held.nextOffset === 0 || held.leaderEpoch >= leaderEpoch) return;
      if (clock.now_ms() >= deadline_ms) {
        const message = `Partition ${partition} has a new leader, with which the index is being compared; try again.`;
        throw new AppError("LOG_UNAVAILABLE", message, { partition });
      }
      await clock.sleep(LOOK_WAIT_MS);
    }
  }

  /** The partition may become another cart's at any time. */
  #untilSoundOrElsewhere(partition: number, deadline_ms: number): Promise<void> {
    return this.#until(
      () => this.isSound(partition) || this.options.isElsewhere(partition),
      () => partition,
      deadline_ms,
    );
  }

  /**
   * Like `#readToEnd`, but waits only briefly for the newest records; what is required is what the partition held when it
   * was last heard of.
   */
  async #readSome(partition: number, { stable }: Newest, known: KnownEnd, deadline_ms: number): Promise<boolean> {
    const { isElsewhere, clock } = this.options;
    if (stable[partition] === undefined) throw unavailableError(this.options.partitions, partition);
    await this.#until(
      () => this.#isComplete(partition) || isElsewhere(partition),
      () => partition,
      deadline_ms,
    );
    const until_ms = Math.min(deadline_ms, clock.now_ms() + OTHERS_WAIT_MS_MAX);
    const end = await toldEnd(clock, stable[partition], until_ms - clock.now_ms());
    if (end !== undefined && !("unavailable" in end) && known(partition) < end.endOffset && !isElsewhere(partition))
      await this.#reached(partition, end.endOffset, until_ms);
    return !isElsewhere(partition);
  }

  async #until(holds: () => boolean, partition: () => number, deadline_ms: number): Promise<void> {
    const { clock, partitions } = this.options;
    while (!holds()) {
      const error = unavailableError(partitions, partition());
      const isHopeless = error.code === "PARTITION_HALTED" || partitions.readFailure !== undefined;
      if (isHopeless || clock.now_ms() >= deadline_ms) throw error;
      await (this.#looking ??= clock.sleep(LOOK_WAIT_MS).then(() => void (this.#looking = undefined)));
    }
  }

  #firstUnread(): number | undefined {
    const { partitionCount } = this.options.partitions;
    for (let partition = 0; partition < partitionCount; partition++) {
      const held = this.#held(partition);
      const isRead = held?.state === "halted" || this.#isComplete(partition);
      if (!isRead && !this.options.isElsewhere(partition)) return partition;
    }
    return undefined;
  }

  #isComplete(partition: number): boolean {
    return this.#held(partition)?.isComplete === true && !this.options.isShort(partition);
  }

  #held(partition: number): PartitionView | undefined {
    return this.options.partitions.get(partition);
  }

  #reached(partition: number, offset: number, deadline_ms: number): Promise<boolean> {
    const wait_ms = deadline_ms - this.options.clock.now_ms();
    return this.#held(partition)?.reached(offset, wait_ms) ?? Promise.resolve(false);
  }
}
