import type { LogRecord } from "../log/log.ts";
import { isSameRecord, type LastRecord } from "./store.ts";

/**
 * Whether what is applied is still what the log has (I7). At the opening, and after each interruption, first the log has to tell which
 * topic it has under the name (KIP-516), then the last record applied is read again and compared (KIP-320); nothing is applied before.
 *
 * ```
 *  unconfirmed ──confirm()──▶ uncompared ──isKept()──▶ verified ──interrupt()──▶ unconfirmed
 * ```
 */
export class Continuity {
  #state: "unconfirmed" | "uncompared" | "verified" = "unconfirmed";
  /** What interrupted it; undefined at the opening. */
  #why: string | undefined;
  #isDoubted: boolean;
  /** Of the leader that the records are read from; undefined before any was. */
  #leaderEpoch: number | undefined;
  /** The newest that was heard of: each new one interrupts once. */
  #heardEpoch = 0;

  /** A store that has rows is in doubt until they are known to be this log's. */
  constructor(hasRows: boolean) {
    this.#isDoubted = hasRows;
  }

  get leaderEpoch(): number {
    return this.#leaderEpoch ?? 0;
  }

  get isConfirmed(): boolean {
    return this.#state !== "unconfirmed";
  }

  get isVerified(): boolean {
    return this.#state === "verified";
  }

  /** Why nothing is applied for the moment; undefined at the opening, which is no hindrance but the beginning. */
  get interruption(): string | undefined {
    return this.isVerified ? undefined : this.#why;
  }

  get doubt(): string | undefined {
    if (this.isVerified || !this.#isDoubted) return undefined;
    return `${this.#why ?? "The partition was just opened."} The last record applied is compared with the log first.`;
  }

  interrupt(why: string, isDoubtful: boolean): void {
    this.#state = "unconfirmed";
    this.#why = why;
    this.#isDoubted ||= isDoubtful;
  }

  /** The log has the same topic as ever. Without a last record there is nothing to compare. */
  confirm(hasLast: boolean, leaderEpoch: number | undefined): void {
    if (this.#state !== "unconfirmed") return;
    this.#state = "uncompared";
    if (!hasLast) this.verified(leaderEpoch);
  }

  /** Notes who leads, as the log tells it. Returns true where that is a leader not heard of before. */
  isNewLeader(leaderEpoch: number): boolean {
    const isNew = this.#leaderEpoch !== undefined && leaderEpoch > Math.max(this.#leaderEpoch, this.#heardEpoch);
    this.#heardEpoch = Math.max(this.#heardEpoch, leaderEpoch);
    if (isNew && !this.isVerified) this.#isDoubted = true;
    return isNew;
  }

  /** Whether what is read comes from the leader that the last record was compared with. */
  isSameLeader(leaderEpoch: number): boolean {
    return !this.isVerified || this.#leaderEpoch === undefined || this.#leaderEpoch === leaderEpoch;
  }

  /** Whether the log still has the last record applied, by what was read from its offset on. */
  isKept(last: LastRecord, records: readonly LogRecord[]): boolean {
    const found = records.find(({ offset }) => offset >= last.offset);
    return found !== undefined && isSameRecord(last, found);
  }

  verified(leaderEpoch = this.#leaderEpoch): void {
    this.#state = "verified";
    this.#leaderEpoch = leaderEpoch;
    this.#isDoubted = false;
    this.#why = undefined;
  }
}
