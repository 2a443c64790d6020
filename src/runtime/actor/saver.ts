import type { Duty } from "../standby/duty.ts";
import type { PartitionStore, StoreSaving } from "../store/store.ts";
import { isDamage } from "../store/store-failures.ts";
import type { ActorEnvironment } from "./actor-environment.ts";
import { STORE_RETRY_WAIT_MS } from "./applier.ts";
import type { Hindrance } from "./hindrance.ts";

/**
 * How far the store may lag behind what is applied, while it works. After a crash as much is read from the log again.
 */
export const SAVE_WAIT_MS = 1_000;

export interface SaverOptions {
  readonly store: PartitionStore;
  readonly duty: Duty;
  readonly hindrance: Hindrance;
  readonly environment: Pick<ActorEnvironment, "clock">;
  /** Aborts once the partition is halted or given up: a store that fails is not tried again. */
  readonly ending: AbortSignal;
  readonly onDamaged: (reason: string) => void;
  readonly onStoreFailed: (e: unknown) => void;
  /** Called when the store works again after it had failed. */
  readonly onWorking: () => void;
}

/**
 * Saves what a partition has applied: the store is a checkpoint that follows behind. While the store fails, the
 * partition applies nothing more, so that what is only in memory stays bounded; queries are still answered from it.
 *
 * ```
 *  idle ──save()──▶ saving: bytes are synced, then rows and position committed ──▶ idle
 *   ▲                 └─ fails ─▶ failing ──after a pause──▶ saving
 *   └──────────── no longer the owner, or ending ──────────────┘      any of them ──end()──▶ saved once more
 * ```
 */
export class Saver {
  #state: "idle" | "saving" | "failing" = "idle";
  /** Ends when nothing more is wanted to be saved, after all the tries that takes. */
  #running: Promise<void> | undefined;
  #trying: Promise<void> | undefined;
  #ended: Promise<void> | undefined;
  /** Since when something is applied that is not saved. */
  #behindSince_ms: number | undefined;
  #isWantedAgain = false;
  #isDamaged = false;

  constructor(private readonly options: SaverOptions) {}

  get isFailing(): boolean {
    return this.#state === "failing";
  }

  /** Resolves when the saving that is under way, if any, has ended or failed; one that failed is tried again later. */
  get running(): Promise<void> | undefined {
    return this.#trying;
  }

  /** How many rows are applied and not saved yet. */
  get unsaved(): number {
    return this.options.store.projections.unsaved;
  }

  /** Notes that something was applied. */
  noteApplied(): void {
    this.#behindSince_ms ??= this.options.environment.clock.now_ms();
  }

  /** Without ownership nothing is due: what would be written could not be committed. */
  isDue(now_ms: number): boolean {
    const isLate = this.#behindSince_ms !== undefined && now_ms - this.#behindSince_ms >= SAVE_WAIT_MS;
    return isLate && this.#state === "idle" && this.options.duty.mayApply();
  }

  /** Saves everything that is applied now, unless there is nothing to save. */
  save(): void {
    if (this.#running !== undefined) this.#isWantedAgain = true;
    else if (this.options.store.isBehind) this.#running = this.#run().finally(() => (this.#running = undefined));
  }

  /** Saves what is applied one last time, once nothing more is applied. The log has what cannot be saved. */
  end(): Promise<void> {
    return (this.#ended ??= this.#end());
  }

  async #end(): Promise<void> {
    await this.#running;
    if (!this.#isDamaged && this.options.store.isBehind) await this.#saveOnce();
  }

  async #run(): Promise<void> {
    const { environment, ending } = this.options;
    do {
      this.#isWantedAgain = false;
      this.#state = "saving";
      while (!(await this.#try())) {
        this.#state = "failing";
        await environment.clock.sleep(STORE_RETRY_WAIT_MS, ending);
        if (ending.aborted) return;
      }
      const wasFailing = (this.#state as string) === "failing";
      this.#state = "idle";
      if (wasFailing && this.options.hindrance.storeWorked()) this.options.onWorking();
    } while (this.#isWantedAgain && this.options.store.isBehind && !ending.aborted);
  }

  async #try(): Promise<boolean> {
    const saving = this.#saveOnce();
    this.#trying = saving.then(() => undefined);
    try {
      return await saving;
    } finally {
      this.#trying = undefined;
    }
  }

  /** Returns false if the store failed and is to be tried again. */
  async #saveOnce(): Promise<boolean> {
    const { store, duty } = this.options;
    let saving: StoreSaving | undefined;
    const since_ms = this.#behindSince_ms;
    this.#behindSince_ms = undefined;
    try {
      saving = store.save();
      if (saving.synced) await saving.synced;
      // I2: nothing is awaited between this check and the commit.
      if (duty.mayApply()) {
        saving.commit();
        return true;
      }
      saving.abandon();
      this.#behindSince_ms = since_ms;
      return true;
    } catch (e) {
      saving?.abandon();
      this.#behindSince_ms = since_ms;
      return this.#failed(e);
    }
  }

  /** Returns true if trying again does not help. */
  #failed(e: unknown): boolean {
    const { ending, onDamaged, onStoreFailed } = this.options;
    this.#isDamaged = isDamage(e);
    if (ending.aborted) return true;
    if (isDamage(e)) onDamaged(String(e));
    else onStoreFailed(e);
    return isDamage(e);
  }
}
