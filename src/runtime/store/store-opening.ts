import { type AppError, isAppError } from "../../errors.ts";
import type { Clock } from "../../system/clock.ts";
import type { TopicEnds } from "../../log/port.ts";
import type { PartitionActor } from "../actor/actor.ts";
import * as errors from "../actor/actor-errors.ts";
import { STORE_RETRY_WAIT_MS } from "../actor/applier.ts";
import type { Asker } from "../read/ends-inquiry.ts";
import { LateStart, type OtherHolders } from "../late-start.ts";
import { type Fetched, noLongerWanted, type NoSnapshot } from "../snapshots/restorer.ts";
import type { PartitionStore } from "./store.ts";
import type { Unusable } from "./store-file.ts";

/**
 * This many stores are opened one after the other before heartbeats and requests have their turn; each takes about a
 * millisecond.
 */
const OPENED_PER_TURN = 16;
/** How often a storage of snapshots is asked that fails, before the log is read from its start in its place. */
const FETCH_TRIES_MAX = 5;
const ASK_AGAIN_WAIT_MS = 2_000;
/** The reason given when a store with nothing wrong is replaced by a snapshot that is further. */
export const LOG_WENT_ON = "the log no longer has what comes after it";

/** How a partition's store is found, opened and replaced. */
export interface Stores extends OtherHolders {
  /** The path of the file that holds the partition, whether or not the file exists. */
  readonly storePath: (partition: number) => string;
  /** Opens the store, or creates it. A store that cannot be used is left as it is. */
  readonly openStore: (partition: number) => PartitionStore | Unusable;
  /**
   * Renames the file, so that the next store to be opened is new. Absent if the set's owner does that, and not the
   * set.
   */
  readonly setStoreAside?: (partition: number, reason: string) => void;
  /** Fills a store from the newest snapshot that fits; see `Restorer`. Absent if there is no storage of snapshots. */
  readonly fetchSnapshot?:
    ((partition: number, ends: TopicEnds, requireWanted: () => void) => Promise<Fetched | NoSnapshot>) | undefined;
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

/**
 * Why a store is to be replaced: there is none, it cannot be used, somebody asked for it although nothing is wrong with
 * it, or the log no longer has the records after it.
 */
export type Replacement =
  | { readonly is: "new" }
  | { readonly is: "unusable" | "asked"; readonly reason: string }
  | { readonly is: "outrun"; readonly error: AppError };

/**
 * Opens the stores of the held partitions, and tries each for as long as it takes. A store that is new, or is to be
 * replaced, is made of a snapshot where one fits. A store that cannot be used is set aside only once a snapshot is
 * there, or the log has shown that it can rebuild it. Until then, the store may be the only place that has what the log
 * has lost.
 *
 * ```
 *  open ──▶ given to its actor
 *    ├─ fails ─▶ tried again, the actor is suspended meanwhile
 *    └─ new, unusable, or `condemn`ed ─▶ the log is asked where it begins ─▶ a snapshot is fetched
 *          ├─▶ in the store's place, and opened           (what was there is set aside)
 *          └─ none fits ─┬─▶ set aside, and opened anew   (late, only if no other member has what the log has lost)
 *                        └─▶ the actor halts, or keeps a usable store
 * ```
 */
export class StoreOpening {
  readonly #condemned = new Map<number, Replacement>();
  /** How often the storage has failed in a row while a partition's snapshot was to be fetched. */
  readonly #failedFetches = new Map<number, number>();
  readonly #lateStart: LateStart;

  constructor(private readonly options: StoreOpeningOptions) {
    this.#lateStart = new LateStart(options);
  }

  /** Marks the partition's store to be replaced. */
  condemn(partition: number, replacement: Replacement): void {
    this.#condemned.set(partition, replacement);
  }

  /** Forgets what was tried in vain for the partition, as it is not held any more. */
  forget(partition: number): void {
    this.#lateStart.forget(partition);
    this.#failedFetches.delete(partition);
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

  /**
   * Returns false if the store failed and is to be tried again. `mayBeNew` says that no snapshot is to be looked for.
   */
  #tryOpen(actor: PartitionActor, mayBeNew = this.options.fetchSnapshot === undefined && !this.#asksOthers): boolean {
    const { partition } = actor;
    try {
      const condemned = this.#condemned.get(partition);
      const store = condemned === undefined ? this.options.openStore(partition) : undefined;
      if (store === undefined || "unusable" in store)
        this.#replace(actor, condemned ?? { is: "unusable", reason: store?.unusable ?? "" });
      else if (store.nextOffset !== undefined || mayBeNew) actor.open(store);
      else {
        store.close();
        this.#replace(actor, { is: "new" });
      }
      return true;
    } catch (e) {
      actor.storeFailed(e);
      return false;
    }
  }

  #replace(actor: PartitionActor, replacement: Replacement): void {
    const { partition } = actor;
    if (replacement.is !== "new") this.#condemned.set(partition, replacement);
    const hear = (_: undefined, ends: TopicEnds): boolean => {
      if (!this.#isWanted(actor)) return true;
      const own = ends.partitions[partition] ?? { unavailable: "The log does not know the partition yet." };
      if ("unavailable" in own) actor.unavailable(own.unavailable);
      else void this.#hearStart(actor, replacement, own.startOffset, ends);
      return !("unavailable" in own);
    };
    this.options.ask({ question: undefined, hear });
  }

  async #hearStart(actor: PartitionActor, replacement: Replacement, startOffset: number, ends: TopicEnds): Promise<void> {
    // Whoever asks for a rebuild does not trust the rows; those of a snapshot may be as wrong.
    const isFetched = this.options.fetchSnapshot !== undefined && (replacement.is !== "asked" || startOffset > 0);
    const isNeeded = replacement.is === "outrun" || (startOffset > 0 && this.options.mayBeginLate !== true);
    const fetched = isFetched ? await this.#fetch(actor, ends, isNeeded) : undefined;
    if (fetched === "later") return this.#replaceLater(actor, replacement);
    if (isFetched && fetched === undefined) return;
    if (fetched !== undefined && "place" in fetched) return this.#place(actor, replacement, fetched);
    const isLate = startOffset > 0 && (replacement.is === "new" || replacement.is === "unusable");
    if (isLate && this.#asksOthers && !(await this.#isNowhereElse(actor, replacement, startOffset))) return;
    this.#doWithout(actor, replacement, startOffset, fetched);
  }

  get #asksOthers(): boolean {
    return this.options.mayBeginLate === true && this.#lateStart.asksOthers;
  }

  /** Whether no other member has what the log has lost. If one has, the actor halts: what was accepted to be lost is not. */
  async #isNowhereElse(actor: PartitionActor, replacement: Replacement, startOffset: number): Promise<boolean> {
    const verdict = await this.#lateStart.verdict(actor.partition, startOffset);
    if (!this.#isWanted(actor)) return false;
    if (verdict === "begin") return true;
    if ("elsewhere" in verdict) actor.halt(errors.earlierElsewhere(startOffset, verdict.elsewhere));
    else {
      actor.prepare(verdict.wait);
      void this.#replaceLater(actor, replacement);
    }
    return false;
  }

  /** Goes on without a snapshot. `fetched` says why there is none that could be used, if any was looked for. */
  #doWithout(actor: PartitionActor, replacement: Replacement, startOffset: number, fetched: NoSnapshot | undefined): void {
    const { mayBeginLate, storePath, onWarning } = this.options;
    const { none, isMissed = false } = fetched ?? {};
    const { partition } = actor;
    const path = storePath(partition);
    const isRebuildable = startOffset === 0 || mayBeginLate === true;
    let isReady = true;
    switch (replacement.is) {
      case "new":
        if (!isRebuildable) return actor.halt(errors.beginsLate(startOffset, path, none));
        break;
      case "outrun":
        this.#condemned.delete(partition);
        if (!this.#tryOpen(actor, true)) return void this.#openLater(actor);
        return actor.halt(errors.withoutSnapshot(replacement.error, none));
      case "unusable":
        if (!isRebuildable)
          return actor.halt(errors.cannotBeRebuilt(path, replacement.reason, `begins at offset ${startOffset}`, none));
        isReady = this.#trySetAside(actor, replacement.reason);
        break;
      case "asked":
        if (isRebuildable) isReady = this.#trySetAside(actor, replacement.reason);
        else {
          this.#condemned.delete(partition);
          onWarning(partition, errors.keptInstead(path, startOffset));
        }
        break;
    }
    if (isMissed && isRebuildable) onWarning(partition, errors.readInstead(none));
    if (!isReady || !this.#tryOpen(actor, true)) void this.#openLater(actor);
  }

  /**
   * Resolves with undefined if the actor is no longer wanted, and with "later" if the storage is to be asked again: for
   * as long as it takes if nothing else has what `isNeeded`.
   */
  async #fetch(actor: PartitionActor, ends: TopicEnds, isNeeded: boolean): Promise<Fetched | NoSnapshot | "later" | undefined> {
    const { partition } = actor;
    const requireWanted = (): void => {
      if (!this.#isWanted(actor)) throw noLongerWanted();
    };
    actor.prepare("Its store is being restored from a snapshot.");
    try {
      const fetched = await this.options.fetchSnapshot?.(partition, ends, requireWanted);
      this.#failedFetches.delete(partition);
      if (this.#isWanted(actor)) return fetched;
      if (fetched !== undefined && "drop" in fetched) fetched.drop();
      return undefined;
    } catch (e) {
      if (!this.#isWanted(actor)) return undefined;
      const tries = (this.#failedFetches.get(partition) ?? 0) + 1;
      if (isAppError(e, "STORAGE_FAILED") && !isNeeded && tries >= FETCH_TRIES_MAX) {
        this.#failedFetches.delete(partition);
        return { none: `the storage of snapshots does not answer (${e.message})`, isMissed: true };
      }
      this.#failedFetches.set(partition, tries);
      actor.storeFailed(e);
      return "later";
    }
  }

  /** The log is asked again as well: the topic may have been made anew meanwhile, and snapshots be of the one before. */
  async #replaceLater(actor: PartitionActor, replacement: Replacement): Promise<void> {
    const { clock, ending } = this.options;
    await clock.sleep(ASK_AGAIN_WAIT_MS, ending);
    if (this.#isWanted(actor)) this.#replace(actor, replacement);
  }

  async #place(actor: PartitionActor, replacement: Replacement, fetched: Fetched): Promise<void> {
    const { partition } = actor;
    try {
      await fetched.place(() => {
        const reason = "reason" in replacement ? replacement.reason : LOG_WENT_ON;
        if (replacement.is !== "new") this.options.setStoreAside?.(partition, reason);
      });
      this.#condemned.delete(partition);
    } catch (e) {
      if (!this.#isWanted(actor)) return;
      actor.storeFailed(e);
      return void this.#openLater(actor);
    }
    if (this.#isWanted(actor) && !this.#tryOpenRestored(actor, fetched)) void this.#openLater(actor);
  }

  /** A store that is not what the manifest says is replaced by the snapshot before. */
  #tryOpenRestored(actor: PartitionActor, { snapshot: { name, manifest } }: Fetched): boolean {
    const { partition } = actor;
    try {
      const store = this.options.openStore(partition);
      const expected = manifest.positions.find((position) => position.partition === partition);
      let wrong = "unusable" in store ? store.unusable : undefined;
      if (!("unusable" in store)) {
        if (store.nextOffset !== expected?.nextOffset) wrong = "its position is not what its manifest says";
        else if (store.projections.digest !== manifest.digest) wrong = "its digest is not what its manifest says";
        if (wrong === undefined) actor.open(store);
        else store.close();
      }
      if (wrong !== undefined) this.#replace(actor, { is: "unusable", reason: `it was made of the snapshot ${name}; ${wrong}` });
      return true;
    } catch (e) {
      actor.storeFailed(e);
      return false;
    }
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
