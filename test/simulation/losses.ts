import type { LogRecord } from "../../src/log/port.ts";
import { operationOf } from "./records.ts";

/**
 * What the log acknowledged and then lost: by a leader that lacked it, a broker without its last writes, or the
 * deletion of a topic. Nobody is responsible for that, but whoever had read it must stop and say so.
 */
export class Losses {
  readonly #firstLostOffsets = new Map<number, number>();
  readonly #at_ms = new Map<number, number>();
  readonly #records = new Set<string>();
  readonly #orders = new Set<string>();

  /** Notes that the partition lost everything from `offset` on. */
  note(partition: number, offset: number, lost: readonly (LogRecord | null)[], now_ms: number): void {
    this.#firstLostOffsets.set(partition, Math.min(offset, this.firstLostOffset(partition)));
    this.#at_ms.set(partition, now_ms);
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

  /** The offset from which on the partition has, or had, records other than those that it acknowledged first. */
  firstLostOffset(partition: number): number {
    return this.#firstLostOffsets.get(partition) ?? Number.POSITIVE_INFINITY;
  }
}
