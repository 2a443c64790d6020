import type { Clock } from "../../system/clock.ts";

/** Transactions that are over sooner are not worth mentioning. */
export const OPEN_TRANSACTION_MS_MIN = 3_000;

interface Hidden {
  readonly sentence: string;
  readonly since_ms: number;
}

/**
 * What another program's open transaction hides of a partition (KIP-98): its own records, and everything that was
 * acknowledged after the first of them. Nobody can read that before the transaction ends, so nobody waits for it; but
 * no answer denies what may be there.
 *
 * ```
 *  nothing hidden ◀──note()──▶ hidden, with a reason once that has lasted
 * ```
 */
export class HiddenTail {
  #tail: { readonly from: number; readonly to: number; readonly since_ms: number } | undefined;

  constructor(private readonly clock: Clock) {}

  /** Notes the ends that the log told. */
  note({ stableOffset: from, endOffset: to }: { readonly stableOffset: number; readonly endOffset: number }): void {
    const since_ms = this.#tail?.from === from ? this.#tail.since_ms : this.clock.now_ms();
    this.#tail = from < to ? { from, to, since_ms } : undefined;
  }

  /** Whether the record at `nextOffset` is hidden. It may have been read already if the ends were heard of late. */
  isNext(nextOffset: number): boolean {
    return this.#tail !== undefined && this.#tail.from <= nextOffset && nextOffset < this.#tail.to;
  }

  /** Where the transaction begins, if the record at `nextOffset` is hidden. */
  from(nextOffset: number): number | undefined {
    return this.isNext(nextOffset) ? this.#tail?.from : undefined;
  }

  /** Why nothing can be read at `nextOffset`, and since when on the process's clock; undefined until that has lasted. */
  lasting(nextOffset: number): Hidden | undefined {
    const tail = this.isNext(nextOffset) ? this.#tail : undefined;
    if (tail === undefined || this.clock.now_ms() - tail.since_ms < OPEN_TRANSACTION_MS_MIN) return undefined;
    const sentence = `Another program's transaction is open at offset ${tail.from}; what the log has from there to ${tail.to} can be read once it ends.`;
    return { sentence, since_ms: tail.since_ms };
  }
}
