import type { Clock } from "../../system/clock.ts";

/** Shorter transactions are no news. */
export const OPEN_TRANSACTION_MS_MIN = 3_000;

/**
 * What another program's open transaction hides of a partition (KIP-98): its own records, and all that was
 * acknowledged behind the first of them. Nobody can read that before it ends, so nobody waits for it; but nothing is
 * denied that may be there.
 */
export class HiddenTail {
  #tail: { readonly from: number; readonly to: number; readonly since_ms: number } | undefined;

  constructor(private readonly clock: Clock) {}

  /** The log was heard to have these ends. */
  note({ stableOffset: from, endOffset: to }: { readonly stableOffset: number; readonly endOffset: number }): void {
    const since_ms = this.#tail?.from === from ? this.#tail.since_ms : this.clock.now_ms();
    this.#tail = from < to ? { from, to, since_ms } : undefined;
  }

  /** Whether nothing else is left to be read at `nextOffset`. What was heard of late may have been read meanwhile. */
  isNext(nextOffset: number): boolean {
    return this.#tail !== undefined && this.#tail.from <= nextOffset && nextOffset < this.#tail.to;
  }

  /** Why nothing can be read at `nextOffset`: a sentence, once that has lasted. */
  reason(nextOffset: number): string | undefined {
    const tail = this.isNext(nextOffset) ? this.#tail : undefined;
    if (tail === undefined || this.clock.now_ms() - tail.since_ms < OPEN_TRANSACTION_MS_MIN) return undefined;
    return `Another program's transaction is open at offset ${tail.from}; what the log has from there to ${tail.to} can be read once it ends.`;
  }
}
