import type { LogRecord } from "../../src/log/port.ts";
import { operationOf } from "./records.ts";

/**
 * What the log had acknowledged and lost: by a leader that lacked it, a broker without its last writes, or a topic deleted. Nobody can be
 * held to that; whoever had read it must stop and say so.
 */
export class Losses {
  readonly #from = new Map<number, number>();
  readonly #at_ms = new Map<number, number>();
  readonly #records = new Set<string>();
  readonly #orders = new Set<string>();

  /** All that the partition had from `offset` on. */
  note(partition: number, offset: number, lost: readonly (LogRecord | null)[], now_ms: number): void {
    this.#from.set(partition, Math.min(offset, this.from(partition)));
    this.#at_ms.set(partition, now_ms);
    for (const record of lost) {
      if (!record) continue;
      const operation = operationOf(record);
      if (operation) this.#records.add(`${operation} ${partition}:${record.offset}`);
      if (String(record.value).includes('"ORDER_CREATED"')) this.#orders.add(String(record.key));
    }
  }

  /** When the partition lost records last. */
  lastAt_ms(partition: number): number {
    return this.#at_ms.get(partition) ?? Number.NEGATIVE_INFINITY;
  }

  get isEmpty(): boolean {
    return this.#from.size === 0;
  }

  /** Orders of which a create was lost. */
  get orders(): ReadonlySet<string> {
    return this.#orders;
  }

  hasLost(operation: string, { partition, offset }: { readonly partition: number; readonly offset: number }): boolean {
    return this.#records.has(`${operation} ${partition}:${offset}`);
  }

  /** From where on the partition has, or had, other records than those it acknowledged first. */
  from(partition: number): number {
    return this.#from.get(partition) ?? Number.POSITIVE_INFINITY;
  }
}
