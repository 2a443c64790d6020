import type { Clock } from "../../system/clock.ts";
import type { TopicEnds } from "../../log/port.ts";
import type { PartitionActor } from "../actor/actor.ts";
import * as errors from "../actor/actor-errors.ts";
import { STORE_RETRY_WAIT_MS } from "../actor/applier.ts";
import type { Asker } from "../read/ends-inquiry.ts";
import type { PartitionStore } from "./store.ts";
import type { Unusable } from "./store-file.ts";

/**
 * This many stores are opened one after the other before heartbeats and requests have their turn; each takes about a
 * millisecond.
 */
const OPENED_PER_TURN = 16;

/** How a partition's store is found, opened and replaced. */
export interface Stores {
  /** The path of the file that holds the partition, whether or not the file exists. */
  readonly storePath: (partition: number) => string;
  /** Opens the store, or creates it. A store that cannot be used is left as it is. */
  readonly openStore: (partition: number) => PartitionStore | Unusable;
  /**
   * Renames the file, so that the next store to be opened is new. Absent if the set's owner does that, and not the
   * set.
   */
  readonly setStoreAside?: (partition: number, reason: string) => void;
}

export interface StoreOpeningOptions extends Stores {
  readonly mayBeginLate?: boolean;
  readonly clock: Clock;
  readonly ending: AbortSignal;
  /** Whether the actor still holds its partition. */
  readonly isHeld: (actor: PartitionActor) => boolean;
  /** Asks the log for its ends until the asker has heard them. */
  readonly ask: (asker: Asker<undefined>) => void;
  readonly onWarning: (partition: number, message: string) => void;
}

/** A store that is to be replaced. */
interface Condemned {
  readonly reason: string;
  /** True if nothing is wrong with it. */
  readonly isUsable: boolean;
}

/**
 * Opens the stores of the held partitions, and tries each for as long as it takes. A store that cannot be used is set
 * aside only once the log has shown that it can rebuild it. Until then, the store may be the only place that has what
 * the log has lost.
 *
 * ```
 *  open ──▶ given to its actor
 *    ├─ fails ─▶ tried again, the actor is suspended meanwhile
 *    └─ unusable, or `condemn`ed ─▶ the log is asked where it begins ─┬─▶ set aside, and opened anew
 *                                                                     └─▶ the actor halts, or keeps a usable store
 * ```
 */
export class StoreOpening {
  readonly #condemned = new Map<number, Condemned>();

  constructor(private readonly options: StoreOpeningOptions) {}

  /**
   * Marks the partition's store to be replaced. It is opened again only if it `isUsable` and the log cannot rebuild
   * it.
   */
  condemn(partition: number, condemned: Condemned): void {
    this.#condemned.set(partition, condemned);
  }

  /** `closingOf` returns what to wait for while another actor is still closing the partition's store. */
  async open(actors: readonly PartitionActor[], closingOf: (partition: number) => Promise<void> | undefined): Promise<void> {
    for (const [n, actor] of actors.entries()) {
      if (n > 0 && n % OPENED_PER_TURN === 0) await this.options.clock.yield();
      await closingOf(actor.partition);
      if (this.#isWanted(actor) && !this.#tryOpen(actor)) void this.#openLater(actor);
    }
  }

  #isWanted(actor: PartitionActor): boolean {
    return this.options.isHeld(actor) && actor.state !== "halted" && !actor.hasStore;
  }

  /** Returns false if the store failed and is to be tried again. */
  #tryOpen(actor: PartitionActor): boolean {
    const { partition } = actor;
    try {
      const condemned = this.#condemned.get(partition);
      const store = condemned === undefined ? this.options.openStore(partition) : undefined;
      if (store !== undefined && !("unusable" in store)) actor.open(store);
      else this.#replace(actor, condemned ?? { reason: store?.unusable ?? "", isUsable: false });
      return true;
    } catch (e) {
      actor.storeFailed(e);
      return false;
    }
  }

  #replace(actor: PartitionActor, condemned: Condemned): void {
    const { partition } = actor;
    this.#condemned.set(partition, condemned);
    const hear = (_: undefined, { partitions }: TopicEnds): boolean => {
      if (!this.#isWanted(actor)) return true;
      const ends = partitions[partition] ?? { unavailable: "The log does not know the partition yet." };
      if ("unavailable" in ends) actor.unavailable(ends.unavailable);
      else this.#hearStart(actor, condemned, ends.startOffset);
      return !("unavailable" in ends);
    };
    this.options.ask({ question: undefined, hear });
  }

  #hearStart(actor: PartitionActor, { reason, isUsable }: Condemned, startOffset: number): void {
    const { mayBeginLate, storePath, onWarning } = this.options;
    const { partition } = actor;
    const isRebuildable = startOffset === 0 || mayBeginLate === true;
    if (!isRebuildable && !isUsable)
      return actor.halt(errors.cannotBeRebuilt(storePath(partition), reason, `begins at offset ${startOffset}`));
    if (!isRebuildable) {
      this.#condemned.delete(partition);
      onWarning(partition, errors.keptInstead(storePath(partition), startOffset));
    }
    const isReady = !isRebuildable || this.#trySetAside(actor, reason);
    if (!isReady || !this.#tryOpen(actor)) void this.#openLater(actor);
  }

  #trySetAside(actor: PartitionActor, reason: string): boolean {
    const { partition } = actor;
    try {
      this.options.setStoreAside?.(partition, reason);
      this.#condemned.delete(partition);
      return true;
    } catch (e) {
      actor.storeFailed(e);
      return false;
    }
  }

  async #openLater(actor: PartitionActor): Promise<void> {
    const { clock, ending } = this.options;
    do await clock.sleep(STORE_RETRY_WAIT_MS, ending);
    while (this.#isWanted(actor) && !this.#tryOpen(actor));
  }
}
