import type { AppError } from "../../errors.ts";
import { firstRecord, recordsBefore } from "../../log/batch-records.ts";
import type { Batch, LogRecord } from "../../log/port.ts";
import * as errors from "./actor-errors.ts";
import { isSameRecord, type LastRecord } from "../store/position/last-record.ts";

/** What has been applied of the partition: everything before `nextOffset`. */
export interface Applied {
  readonly nextOffset: number;
  readonly last: LastRecord | undefined;
  readonly isLastOfAll: boolean;
  /** The path of the file that holds the rows. */
  readonly path: string;
}

/** `why` says what interrupted the comparison; it is undefined after the opening, and after a taking over. */
type State =
  | { readonly is: "unconfirmed"; readonly why: string | undefined; isDoubted: boolean }
  | {
      readonly is: "uncompared";
      readonly why: string | undefined;
      isDoubted: boolean;
      /** The epoch of the leader that the comparison reads from; undefined until the comparison has begun. */
      comparedEpoch: number | undefined;
    }
  | { readonly is: "verified" };

/**
 * Tells whether the applied records are still what the log has (I7). After the opening, after a standby has become the
 * owner, and after each interruption, the log first has to say which topic has the name (KIP-516). Then everything from the last record applied up to the
 * position is read again. That record is compared (KIP-320), and no other may follow it: none did when the position
 * was reached, because what lay there was aborted or compacted away. Nothing is applied before that is done.
 *
 * ```
 *  unconfirmed ──confirm()──▶ uncompared ──compare(), up to the position──▶ verified
 *      ▲◀─────────────────────────────────────────interrupt(), beginAnew()─────┘
 * ```
 */
export class Continuity {
  #state: State;
  /** The epoch of the leader that the records are read from; undefined before any were read. */
  #leaderEpoch: number | undefined;
  /** The newest epoch heard of: each new one interrupts once. */
  #heardEpoch = 0;

  /** A store that has rows is in doubt until they are known to come from this log. */
  constructor(hasRows: boolean) {
    this.#state = { is: "unconfirmed", why: undefined, isDoubted: hasRows };
  }

  get leaderEpoch(): number {
    return this.#leaderEpoch ?? 0;
  }

  get isConfirmed(): boolean {
    return this.#state.is !== "unconfirmed";
  }

  get isVerified(): boolean {
    return this.#state.is === "verified";
  }

  /** Why nothing is applied at the moment. Undefined after the opening or a taking over, which are no hindrances. */
  get interruption(): string | undefined {
    return this.#state.is === "verified" ? undefined : this.#state.why;
  }

  get doubt(): string | undefined {
    if (this.#state.is === "verified" || !this.#state.isDoubted) return undefined;
    return `${this.#state.why ?? "The partition was just opened or taken over."} The last record applied is compared with the log first.`;
  }

  /** Doubts the rows as if the store had just been opened. */
  beginAnew(hasRows: boolean): void {
    this.#state = { is: "unconfirmed", why: undefined, isDoubted: hasRows };
  }

  interrupt(why: string, isDoubtful: boolean): void {
    const wasDoubted = this.#state.is !== "verified" && this.#state.isDoubted;
    this.#state = { is: "unconfirmed", why, isDoubted: wasDoubted || isDoubtful };
  }

  /** Notes that the log still has the same topic. */
  confirm(isToBeCompared: boolean, leaderEpoch: number | undefined): void {
    if (this.#state.is !== "unconfirmed") return;
    if (isToBeCompared) this.#state = { ...this.#state, is: "uncompared", comparedEpoch: undefined };
    else this.verified(leaderEpoch);
  }

  /** Notes the leader that the log reports. Returns true if that leader was not heard of before. */
  noteLeader(leaderEpoch: number): boolean {
    const isNew = this.#leaderEpoch !== undefined && leaderEpoch > Math.max(this.#leaderEpoch, this.#heardEpoch);
    this.#heardEpoch = Math.max(this.#heardEpoch, leaderEpoch);
    if (isNew && this.#state.is !== "verified") this.#state.isDoubted = true;
    return isNew;
  }

  /**
   * Whether a batch of this epoch comes from the leader that the applied records were, or are being, compared with.
   */
  isSameLeader(leaderEpoch: number): boolean {
    const known = this.#expectedEpoch;
    return known === undefined || known === leaderEpoch;
  }

  /**
   * Compares the applied records with a batch. The first batch is read from the last record applied on, and each
   * further one from where the batch before it ended. Returns what is wrong, if anything is.
   */
  compare(applied: Applied, batch: Batch): AppError | undefined {
    const { last, nextOffset, path } = applied;
    const first = firstRecord(batch);
    if (last && batch.baseOffset <= last.offset && !(first && isSameRecord(last, first)))
      return errors.disagrees(last.offset, path);
    const added = recordsBefore(batch, nextOffset).find((record) => !wasApplied(applied, record));
    if (added) return errors.holdsMore(added.offset, nextOffset, path);
    if (this.#state.is === "uncompared") this.#state.comparedEpoch = batch.leaderEpoch;
    if (batch.nextOffset >= nextOffset) this.verified(batch.leaderEpoch);
    return undefined;
  }

  verified(leaderEpoch = this.#leaderEpoch): void {
    this.#state = { is: "verified" };
    this.#leaderEpoch = leaderEpoch;
  }

  /** Notes that the log has deleted what was to be compared. Records are read from the leader that was heard of last. */
  nothingToCompare(): void {
    this.verified(Math.max(this.#leaderEpoch ?? 0, this.#heardEpoch));
  }

  /** The leader epoch that the next batch must have; undefined if any will do. */
  get #expectedEpoch(): number | undefined {
    if (this.#state.is === "uncompared") return this.#state.comparedEpoch;
    return this.#state.is === "verified" ? this.#leaderEpoch : undefined;
  }
}

/** Whether a record was applied that lies before the position and is not before the last record applied. */
const wasApplied = ({ last, isLastOfAll }: Applied, record: LogRecord): boolean =>
  (last !== undefined && isSameRecord(last, record)) || (!isLastOfAll && record.undecodable !== undefined);
