import type { PartitionActor } from "./actor/actor.ts";
import type { DutyKind } from "./standby/duty.ts";
import type { OwnerCommit } from "./standby/owner-commit.ts";

/** The actors of a process, by partition: of those that it owns, and of those that it follows. */
export class Actors extends Map<number, PartitionActor> {
  /** All of them by partition in ascending order, as every create asks for them; undefined once there are others. */
  #ascending: readonly PartitionActor[] | undefined;

  override set(partition: number, actor: PartitionActor): this {
    this.#ascending = undefined;
    return super.set(partition, actor);
  }

  override delete(partition: number): boolean {
    this.#ascending = undefined;
    return super.delete(partition);
  }

  /** Those with this duty, by partition in ascending order. */
  of(duty: DutyKind): PartitionActor[] {
    this.#ascending ??= [...this.values()].toSorted((a, b) => a.partition - b.partition);
    return this.#ascending.filter((actor) => actor.duty === duty);
  }

  one(partition: number, duty: DutyKind): PartitionActor | undefined {
    const actor = this.get(partition);
    return actor?.duty === duty ? actor : undefined;
  }

  /**
   * How much is applied of the partitions of which a store is open here: the offsets from where it began to where it goes
   * on. A halted standby is of no use to the group.
   */
  positions(): Map<number, number> {
    const isOfUse = ({ hasStore, duty, state }: PartitionActor) => hasStore && !(duty === "standby" && state === "halted");
    const ofUse = [...this.values()].filter(isOfUse);
    return new Map(ofUse.map(({ partition, nextOffset, startedAt }) => [partition, nextOffset - startedAt]));
  }

  /**
   * The partitions for which this process could answer at once. Where an owner has halted, a person decides; the
   * partition stays where it is.
   */
  ready(): number[] {
    const isReady = ({ duty, state, hasBeenComplete, isLagging }: PartitionActor) =>
      duty === "owner" ? hasBeenComplete || state === "halted" : hasBeenComplete && !isLagging;
    return [...this.values()].filter(isReady).map(({ partition }) => partition);
  }

  /** What the owned partitions' actors tell those who follow. */
  commits(): Map<number, OwnerCommit> {
    const opened = this.of("owner").filter(({ hasStore }) => hasStore);
    return new Map(opened.map(({ partition, commit }) => [partition, commit]));
  }
}
