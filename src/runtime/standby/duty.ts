import type { Clock } from "../../system/clock.ts";
import { Agreement, type Verdict } from "./agreement.ts";
import { isOf, type OwnerCommit } from "./owner-commit.ts";

/** What this process does for a partition. */
export type DutyKind = "owner" | "standby";

/**
 * What this process does for a partition: it owns it, or follows it as a standby. Both fold the same records into the
 * same rows. An owner appends the dead letters and needs the group's word for all that it applies. A standby appends
 * none: where it meets a record that is one, it waits until the owner has committed an offset beyond it, which an owner
 * does once the letter is in the log (I6). Nobody answers from a standby's rows as from an owner's, and its store is
 * this process's alone, so it needs nobody's leave to apply.
 *
 * ```
 *            take()                        end()
 *  owner ◀──────────▶ standby      both ──────────▶ ended
 *                      │  ▲
 *      whenAppended()  ▼  │ hear(), take() or end()
 *                     waiting for the owner's letters
 * ```
 */
export class Duty {
  #kind: DutyKind;
  #commit: OwnerCommit | undefined;
  #waiting: { readonly offset: number; readonly settle: (isAppended: boolean) => void } | undefined;
  #term = new AbortController();
  readonly #agreement: Agreement;

  constructor(
    kind: DutyKind,
    clock: Clock,
    /** Whether the group still has this process for a member; asked synchronously. */
    private readonly isMember: () => boolean,
  ) {
    this.#kind = kind;
    this.#agreement = new Agreement(clock);
  }

  get kind(): DutyKind {
    return this.#kind;
  }

  get isStandby(): boolean {
    return this.#kind === "standby";
  }

  /** Aborts when the duty changes or ends: whatever was begun for it is given up. */
  get term(): AbortSignal {
    return this.#term.signal;
  }

  /** Whether what is folded may be applied and saved now. Nothing may be awaited between this and the commit (I2). */
  mayApply(): boolean {
    return this.isStandby || this.isMember();
  }

  /** Why a standby does not go on: a sentence. */
  get hindrance(): string | undefined {
    if (this.#waiting === undefined) return undefined;
    return `The record at offset ${this.#waiting.offset} is a dead letter, which is the owner's to append; the standby goes on once the owner has committed a later offset.`;
  }

  take(kind: DutyKind): void {
    this.#kind = kind;
    this.#commit = undefined;
    this.#endTerm();
    this.#term = new AbortController();
  }

  end(): void {
    this.#endTerm();
  }

  /**
   * Takes what the owner has committed of this partition. `own` is how far this process is, and `endOffset` the log's
   * end. Returns whether the two have the same rows.
   */
  hear(commit: OwnerCommit, own: OwnerCommit, endOffset: number): Verdict {
    if (!this.isStandby || !isOf(commit, own.topicId, endOffset)) return "unknown";
    this.#commit = commit;
    if (this.#waiting !== undefined && this.#waiting.offset < commit.nextOffset) this.#settle(true);
    return this.#agreement.compare(commit, own);
  }

  /** Resolves with true once the owner has committed an offset beyond this one, and with false if the term ends. */
  whenAppended(offset: number): Promise<boolean> {
    if (this.#commit !== undefined && offset < this.#commit.nextOffset) return Promise.resolve(true);
    if (this.term.aborted) return Promise.resolve(false);
    return new Promise((settle) => (this.#waiting = { offset, settle }));
  }

  #endTerm(): void {
    this.#term.abort();
    this.#settle(false);
  }

  #settle(isAppended: boolean): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.settle(isAppended);
  }
}
