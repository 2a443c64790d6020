import type { AppError } from "../../errors.ts";
import type { Batch, LogRecord } from "../../log/port.ts";
import * as errors from "./actor-errors.ts";
import { isSameRecord, type LastRecord } from "../store/store.ts";

/** What is applied of the partition: everything before `nextOffset`. */
export interface Applied {
  readonly nextOffset: number;
  readonly last: LastRecord | undefined;
  readonly isLastOfAll: boolean;
  /** Of the file that holds the rows. */
  readonly path: string;
}

/** `why`: what interrupted it; undefined at the opening. */
type State =
  | { readonly is: "unconfirmed"; readonly why: string | undefined; isDoubted: boolean }
  | {
      readonly is: "uncompared";
      readonly why: string | undefined;
      isDoubted: boolean;
      /** Of the leader that is compared with; undefined while that has not begun. */
      comparedEpoch: number | undefined;
    }
  | { readonly is: "verified" };

/**
 * Whether what is applied is still what the log has (I7). At the opening, and after each interruption, first the log
 * has to tell which topic it has under the name (KIP-516). Then all is read again from the last record applied to the
 * position: that record is compared (KIP-320), and none may follow it, as none did when what lies there was aborted or
 * compacted away. Nothing is applied before.
 *
 * ```
 *  unconfirmed ──confirm()──▶ uncompared ──compare(), up to the position──▶ verified ──interrupt()──▶ unconfirmed
 * ```
 */
export class Continuity {
  #state: State;
  /** Of the leader that the records are read from; undefined before any was. */
  #leaderEpoch: number | undefined;
  /** The newest that was heard of: each new one interrupts once. */
  #heardEpoch = 0;

  /** A store that has rows is in doubt until they are known to be this log's. */
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

  /** Why nothing is applied for the moment; undefined at the opening, which is no hindrance but the beginning. */
  get interruption(): string | undefined {
    return this.#state.is === "verified" ? undefined : this.#state.why;
  }

  get doubt(): string | undefined {
    if (this.#state.is === "verified" || !this.#state.isDoubted) return undefined;
    return `${this.#state.why ?? "The partition was just opened."} The last record applied is compared with the log first.`;
  }

  interrupt(why: string, isDoubtful: boolean): void {
    const wasDoubted = this.#state.is !== "verified" && this.#state.isDoubted;
    this.#state = { is: "unconfirmed", why, isDoubted: wasDoubted || isDoubtful };
  }

  /** The log has the same topic as ever. */
  confirm(isToBeCompared: boolean, leaderEpoch: number | undefined): void {
    if (this.#state.is !== "unconfirmed") return;
    if (isToBeCompared) this.#state = { ...this.#state, is: "uncompared", comparedEpoch: undefined };
    else this.verified(leaderEpoch);
  }

  /** Notes who leads, as the log tells it. Returns true where that is a leader not heard of before. */
  isNewLeader(leaderEpoch: number): boolean {
    const isNew = this.#leaderEpoch !== undefined && leaderEpoch > Math.max(this.#leaderEpoch, this.#heardEpoch);
    this.#heardEpoch = Math.max(this.#heardEpoch, leaderEpoch);
    if (isNew && this.#state.is !== "verified") this.#state.isDoubted = true;
    return isNew;
  }

  /** Whether what is read comes from the leader that what is applied was compared with, or is. */
  isSameLeader(leaderEpoch: number): boolean {
    const known = this.#readFrom;
    return known === undefined || known === leaderEpoch;
  }

  /**
   * Compares with a batch, each read where the one before ended, the first at the last record applied. Returns what is
   * wrong.
   */
  compare(applied: Applied, batch: Batch): AppError | undefined {
    const { last, nextOffset, path } = applied;
    if (last && batch.baseOffset <= last.offset && !(batch.records[0] && isSameRecord(last, batch.records[0])))
      return errors.disagrees(last.offset, path);
    const added = batch.records.find((record) => record.offset < nextOffset && !wasApplied(applied, record));
    if (added) return errors.holdsMore(added.offset, nextOffset, path);
    if (this.#state.is === "uncompared") this.#state.comparedEpoch = batch.leaderEpoch;
    if (batch.nextOffset >= nextOffset) this.verified(batch.leaderEpoch);
    return undefined;
  }

  verified(leaderEpoch = this.#leaderEpoch): void {
    this.#state = { is: "verified" };
    this.#leaderEpoch = leaderEpoch;
  }

  /** The leader's epoch that the next batch is to be of; undefined where any will do. */
  get #readFrom(): number | undefined {
    if (this.#state.is === "uncompared") return this.#state.comparedEpoch;
    return this.#state.is === "verified" ? this.#leaderEpoch : undefined;
  }
}

/** Of a record from the last one applied on, before the position. */
const wasApplied = ({ last, isLastOfAll }: Applied, record: LogRecord): boolean =>
  (last !== undefined && isSameRecord(last, record)) || (!isLastOfAll && record.undecodable !== undefined);
