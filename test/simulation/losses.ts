import type { LogRecord } from "../../src/log/port.ts";
import { operationOf } from "./records.ts";

/** Longer than a fetch is under way, also one that fails and is sent again. */
const UNHEARD_MS_MAX = 500;

/**
 * What the log acknowledged and then lost: by a leader that lacked it, a broker without its last writes, or the
 * deletion of a topic. Nobody is responsible for that, but whoever had read it must stop and say so.
 */
export class Losses {
  readonly #firstLostOffsets = new Map<number, number>();
  /** The first record of each loss, and when it was lost. */
  readonly #all: { readonly partition: number; readonly offset: number; readonly at_ms: number }[] = [];
  readonly #at_ms = new Map<number, number>();
  readonly #records = new Set<string>();
  readonly #orders = new Set<string>();
  #remadeAt_ms = Number.NEGATIVE_INFINITY;

  /** Notes that the partition lost everything from `offset` on. */
  note(partition: number, offset: number, lost: readonly (LogRecord | null)[], now_ms: number): void {
    this.#firstLostOffsets.set(partition, Math.min(offset, this.firstLostOffset(partition)));
    this.#at_ms.set(partition, now_ms);
    const first = lost.find((record) => record !== null);
    if (first) this.#all.push({ partition, offset: first.offset, at_ms: now_ms });
    for (const record of lost) {
      if (!record) continue;
      const operation = operationOf(record);
      if (operation) this.#records.add(`${operation} ${partition}:${record.offset}`);
      if (String(record.value).includes('"ORDER_CREATED"')) this.#orders.add(String(record.key));
    }
  }

  /** When the partition last lost records. */
  lastAt_ms(partition: number): number {
    return this.#at_ms.get(partition) ?? Number.NEGATIVE_INFINITY;
  }

  /** Notes that the orders' topic was made anew, under the same name. */
  noteRemade(now_ms: number): void {
    this.#remadeAt_ms = now_ms;
  }

  /**
   * Whether a process may not have heard yet that the topic was made anew. Until its next answer to a fetch, it cannot
   * tell where the new topic ends from where the old one did: a broker acknowledges by name and offset alone.
   */
  isRemadeUnheard(now_ms: number): boolean {
    return now_ms - this.#remadeAt_ms < UNHEARD_MS_MAX;
  }

  get isEmpty(): boolean {
    return this.#firstLostOffsets.size === 0;
  }

  /** The orders of which a create was lost. */
  get orders(): ReadonlySet<string> {
    return this.#orders;
  }

  hasLost(operation: string, { partition, offset }: { readonly partition: number; readonly offset: number }): boolean {
    return this.#records.has(`${operation} ${partition}:${offset}`);
  }

  /** The offset of the first record that the partition lost in that time. */
  firstLostBetween(partition: number, from_ms: number, to_ms: number): number {
    const lost = this.#all.filter((one) => one.partition === partition && from_ms <= one.at_ms && one.at_ms < to_ms);
    return Math.min(Number.POSITIVE_INFINITY, ...lost.map(({ offset }) => offset));
  }

  /** The offset from which on the partition has, or had, records other than those that it acknowledged first. */
  firstLostOffset(partition: number): number {
    return this.#firstLostOffsets.get(partition) ?? Number.POSITIVE_INFINITY;
  }
}
