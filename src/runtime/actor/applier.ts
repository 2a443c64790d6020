import type { AppError } from "../../errors.ts";
import type { Batch } from "../../log/port.ts";
import type { PartitionStore } from "../store/store.ts";
import { isDamage, isStoreFailure } from "../store/store-failures.ts";
import { lastOffsetOf, lastRecordOf } from "../store/store.ts";
import type { ActorEnvironment, DeadLetter } from "./actor-environment.ts";
import * as errors from "./actor-errors.ts";
import { foldBatch } from "./fold-batch.ts";
import type { Hindrance } from "./hindrance.ts";
import type { Reading } from "./reading.ts";

/** How long to wait before a store that failed is tried again. */
export const STORE_RETRY_WAIT_MS = 1_000;

export interface ApplierOptions {
  readonly partition: number;
  readonly store: PartitionStore;
  readonly reading: Reading;
  readonly hindrance: Hindrance;
  readonly environment: Pick<ActorEnvironment, "clock" | "isOwner" | "deliverDeadLetters" | "onReadable">;
  /** Aborts once the partition is halted or given up: nothing more is applied. */
  readonly ending: AbortSignal;
  /** Called with an error that only a person can mend. */
  readonly onHalt: (error: AppError) => void;
  readonly onDamaged: (reason: string) => void;
  readonly onStoreFailed: (e: unknown) => void;
  /** Called after each transaction. */
  readonly onCommitted: () => void;
}

/**
 * Applies the batches of an open partition: folds each in memory, has its dead letters appended, and commits rows and
 * position in one transaction. A batch that has no dead letters and is committed at the first try is applied in one
 * turn of the event loop. Any other batch takes longer, and the partition takes no records meanwhile.
 *
 * ```
 *  idle ──apply()──▶ idle            (folded and committed in this turn)
 *    └────apply()──▶ applying ─┬─ committed, given up, or to be read again ──▶ idle
 *             letters appended │ ▲
 *                              └─┘ store failed: folded again after a pause
 * ```
 */
export class Applier {
  #applying: Promise<void> | undefined;

  constructor(private readonly options: ApplierOptions) {}

  get isApplying(): boolean {
    return this.#applying !== undefined;
  }

  /** Returns a promise only if it must wait: for dead letters to be appended, or for a store that fails. */
  apply(batch: Batch): Promise<void> | undefined {
    let letters = this.#fold(batch);
    if (this.options.ending.aborted) return undefined;
    if (letters?.length === 0 && this.#commit(batch)) return undefined;
    if (letters?.length === 0) letters = undefined;
    const applying = this.#applySlowly(batch, letters).finally(() => (this.#applying = undefined));
    this.#applying = applying;
    return applying;
  }

  /** Resolves once nothing is being applied. */
  async settle(): Promise<void> {
    await this.#applying?.catch(() => undefined);
  }

  /**
   * Commits the position of an empty partition. After a restart it is worth knowing that the partition held nothing,
   * if it cannot be read then.
   */
  keepEmpty(): void {
    const { store, environment } = this.options;
    if (!environment.isOwner()) return;
    try {
      store.commit(0, undefined);
    } catch {
      // The position is committed with the first record instead.
      store.projections.reset();
    }
  }

  get #nextOffset(): number {
    return this.options.store.nextOffset ?? 0;
  }

  /**
   * Folds the batch in memory. Returns undefined if the partition had to be halted, or if the store failed and the
   * batch is to be folded again.
   */
  #fold(batch: Batch): DeadLetter[] | undefined {
    const { store, reading, environment, ending, onDamaged, onHalt, onStoreFailed } = this.options;
    if (ending.aborted || !reading.isKept(batch)) return undefined;
    try {
      const letters = foldBatch(batch, this.#nextOffset, store.projections);
      return environment.deliverDeadLetters ? letters : [];
    } catch (e) {
      store.projections.reset();
      if (isDamage(e)) onDamaged(String(e));
      else if (isStoreFailure(e)) onStoreFailed(e);
      else onHalt(errors.foldFailed(batch, e));
      return undefined;
    }
  }

  async #applySlowly(batch: Batch, folded: readonly DeadLetter[] | undefined): Promise<void> {
    const { reading, environment, ending } = this.options;
    for (let letters = folded; ; letters = this.#fold(batch)) {
      if (ending.aborted) return;
      if (letters) {
        // I6: the position moves only once the dead letters before it are appended.
        if (letters.length > 0 && !(await this.#deliver(letters))) return;
        if (this.#commit(batch)) return;
      }
      // A failed commit has thrown the folded rows away, so the batch is folded again before the next try.
      await environment.clock.sleep(STORE_RETRY_WAIT_MS, ending);
      if (reading.accepted !== batch) return this.#forget();
    }
  }

  /** Returns false if the partition is given up. */
  async #deliver(letters: readonly DeadLetter[]): Promise<boolean> {
    const { partition, reading, hindrance, environment, ending } = this.options;
    try {
      const wasBlocked = await hindrance.whileDelivering((onFailed) =>
        environment.deliverDeadLetters?.(partition, letters, ending, onFailed),
      );
      if (wasBlocked && !ending.aborted) reading.forgetEnd();
      return true;
    } catch (e) {
      this.#forget();
      if (!ending.aborted) throw e;
      return false;
    }
  }

  /**
   * Returns true if nothing is left to do for the batch: it is committed, the partition has another owner, or the
   * batch is to be read again.
   */
  #commit(batch: Batch): boolean {
    const { store, reading, hindrance, environment, ending, onDamaged, onStoreFailed, onCommitted } = this.options;
    if (ending.aborted) return true;
    // I2: nothing is awaited from here to the commit, so whoever owns the partition here owns it in the transaction.
    if (!environment.isOwner() || reading.accepted !== batch) {
      this.#forget();
      return true;
    }
    const record = batch.records.at(-1);
    const last = record && lastOffsetOf(record) >= this.#nextOffset ? lastRecordOf(record) : store.last;
    const { news } = store.projections;
    try {
      if (batch.nextOffset > this.#nextOffset || store.nextOffset === undefined) store.commit(batch.nextOffset, last);
    } catch (e) {
      store.projections.reset();
      if (isDamage(e)) onDamaged(String(e));
      else onStoreFailed(e);
      return isDamage(e);
    }
    if (news && reading.isRunning) environment.onReadable?.(news);
    if (hindrance.storeWorked()) reading.forgetEnd();
    reading.applied(batch);
    onCommitted();
    return true;
  }

  /** Drops the batch that was accepted and not applied; it is read again. */
  #forget(): void {
    this.options.store.projections.reset();
    this.options.reading.forget();
  }
}
