import type { Clock } from "../../system/clock.ts";

/** Transactions that are over sooner are not worth mentioning. */
export const OPEN_TRANSACTION_MS_MIN = 3_000;

export interface Hidden {
  /** Where the transaction begins. */
  readonly from: number;
  /** Once it has lasted: why nothing can be read, and since when on the wall clock. */
  readonly lasting?: { readonly sentence: string; readonly since_ms: number };
}

interface Tail {
  readonly from: number;
  readonly to: number;
  readonly since_ms: number;
  /** `since_ms` on the wall clock. */
  readonly sinceWall_ms: number;
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
  #tail: Tail | undefined;

  constructor(private readonly clock: Clock) {}

  /** Notes the ends that the log told. */
  note({ stableOffset: from, endOffset: to }: { readonly stableOffset: number; readonly endOffset: number }): void {
    const { since_ms, sinceWall_ms } =
      this.#tail?.from === from ? this.#tail : { since_ms: this.clock.now_ms(), sinceWall_ms: this.clock.wall_ms() };
    this.#tail = from < to ? { from, to, since_ms, sinceWall_ms } : undefined;
  }

  /** What hides the record at `nextOffset`. It may have been read already if the ends were heard of late. */
  at(nextOffset: number): Hidden | undefined {
    const tail = this.#tail;
    if (tail === undefined || tail.from > nextOffset || nextOffset >= tail.to) return undefined;
    const { from, to, since_ms, sinceWall_ms } = tail;
    if (this.clock.now_ms() - since_ms < OPEN_TRANSACTION_MS_MIN) return { from };
    const sentence = `Another program's transaction is open at offset ${from}; what the log has from there to ${to} can be read once it ends.`;
    return { from, lasting: { sentence, since_ms: sinceWall_ms } };
  }
}
