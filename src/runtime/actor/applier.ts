import type { AppError } from "../../errors.ts";
import { lastRecord } from "../../log/batch-records.ts";
import type { Batch } from "../../log/port.ts";
import { isOutOfMemory } from "../../system/out-of-memory.ts";
import type { Duty } from "../standby/duty.ts";
import type { PartitionStore } from "../store/store.ts";
import { isDamage, isStoreFailure } from "../store/store-failures.ts";
import { lastOffsetOf, lastRecordOf } from "../store/position/last-record.ts";
import type { ActorEnvironment, DeadLetter } from "./actor-environment.ts";
import * as errors from "./actor-errors.ts";
import { foldBatch } from "./fold-batch.ts";
import type { Hindrance } from "./hindrance.ts";
import type { Reading } from "./reading.ts";
import type { Saver } from "./saver.ts";

/** How long to wait before a store that failed is tried again. */
export const STORE_RETRY_WAIT_MS = 1_000;

export interface ApplierOptions {
  readonly partition: number;
  readonly duty: Duty;
  readonly store: PartitionStore;
  readonly saver: Saver;
  readonly reading: Reading;
  readonly hindrance: Hindrance;
  readonly environment: Pick<ActorEnvironment, "clock" | "deliverDeadLetters" | "onReadable">;
  /** Aborts once the partition is halted or given up: nothing more is applied. */
  readonly ending: AbortSignal;
  /** Called with an error that only a person can mend. */
  readonly onHalt: (error: AppError) => void;
  readonly onDamaged: (reason: string) => void;
  readonly onStoreFailed: (e: unknown) => void;
  /** Called after each batch that is applied. */
  readonly onApplied: () => void;
}

/**
 * Applies the batches of an open partition: folds each in memory, has its dead letters appended, and keeps it. A batch
 * without dead letters is applied in one turn of the event loop. Any other batch takes longer, and the partition takes
 * no records meanwhile; it is folded again when its letters are in the log, so that nothing is in memory that queries
 * must not see. A standby appends no letters and waits until the owner has.
 *
 * ```
 *  idle ──apply()──▶ idle            (folded and kept in this turn)
 *    └────apply()──▶ applying ─┬─ kept, given up, or to be read again ──▶ idle
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
    const letters = this.#fold(batch);
    if (this.options.ending.aborted) return undefined;
    if (letters?.length === 0) {
      this.#keep(batch);
      return undefined;
    }
    const applying = this.#applySlowly(batch, letters).finally(() => (this.#applying = undefined));
    this.#applying = applying;
    return applying;
  }

  /** Resolves once nothing is being applied. */
  async settle(): Promise<void> {
    await this.#applying?.catch(() => undefined);
  }

  /**
   * Saves the position of an empty partition. After a restart it is worth knowing that the partition held nothing, if
   * it cannot be read then.
   */
  keepEmpty(): void {
    const { store, saver, duty } = this.options;
    if (!duty.mayApply()) return;
    store.keep(0, undefined);
    saver.noteApplied();
    saver.save();
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
      // Nothing is wrong with the batch: it is folded again once the process is started anew.
      else if (isOutOfMemory(e)) throw e;
      else onHalt(errors.foldFailed(batch, e));
      return undefined;
    }
  }

  async #applySlowly(batch: Batch, folded: readonly DeadLetter[] | undefined): Promise<void> {
    const { store, saver, reading, hindrance, environment, ending } = this.options;
    let hasFailed = folded === undefined;
    for (let letters = folded; ; letters = this.#fold(batch)) {
      if (ending.aborted) return store.projections.reset();
      if (letters) {
        // I6: the position moves only once the dead letters before it are appended.
        if (letters.length > 0 && !(await this.#deliver(letters))) return;
        if (letters.length === 0 || this.#isFoldedAgain(batch)) {
          this.#keep(batch);
          if (letters.length > 0) saver.save();
          if (hasFailed && hindrance.storeWorked()) reading.forgetEnd();
          return;
        }
        if (ending.aborted || reading.accepted !== batch) return;
      }
      hasFailed = true;
      await environment.clock.sleep(STORE_RETRY_WAIT_MS, ending);
      if (reading.accepted !== batch) return void this.#forget();
    }
  }

  /** Returns false if the partition was given up, or the store failed, since the batch was folded. */
  #isFoldedAgain(batch: Batch): boolean {
    if (this.options.reading.accepted !== batch) return this.#forget();
    return this.#fold(batch) !== undefined;
  }

  /** Returns false if the partition is given up, or has become this process's to own or to follow. */
  async #deliver(letters: readonly DeadLetter[]): Promise<boolean> {
    const { partition, store, reading, hindrance, environment, duty } = this.options;
    store.projections.reset();
    const { term } = duty;
    try {
      if (duty.isStandby) return (await duty.whenAppended(lastOffsetOf(letters.at(-1)!.record))) || this.#forget();
      const wasBlocked = await hindrance.whileDelivering((onFailed) =>
        environment.deliverDeadLetters?.(partition, letters, term, onFailed),
      );
      if (wasBlocked && !term.aborted) reading.forgetEnd();
      return true;
    } catch (e) {
      this.#forget();
      if (!term.aborted) throw e;
      return false;
    }
  }

  /** Takes the folded batch, unless the partition has another owner or the batch is to be read again. */
  #keep(batch: Batch): void {
    const { store, saver, reading, environment, duty, ending, onApplied } = this.options;
    if (ending.aborted || !duty.mayApply() || reading.accepted !== batch) return void this.#forget();
    const record = lastRecord(batch);
    const last = record && lastOffsetOf(record) >= this.#nextOffset ? lastRecordOf(record) : store.last;
    const { news } = store.projections;
    if (batch.nextOffset > this.#nextOffset || store.nextOffset === undefined) {
      store.keep(batch.nextOffset, last);
      saver.noteApplied();
    }
    if (news && reading.catchUp.isRunning && !duty.isStandby) environment.onReadable?.(news);
    reading.applied(batch);
    onApplied();
  }

  /** Drops the batch that was accepted and not applied; it is read again. */
  #forget(): false {
    this.options.store.projections.reset();
    this.options.reading.forget();
    return false;
  }
}
