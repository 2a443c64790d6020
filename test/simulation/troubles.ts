/** In what way the log stands in the way at the moment, and how long ago it last did, so that nothing else is excused by it. */
export class Troubles {
  readonly #until_ms = new Map<string, number>();
  readonly #open = new Map<string, number>();
  /** Partitions with records that must become letters. */
  readonly poisoned = new Set<number>();

  /** Calls nest: a trouble is over when the last of its kind has ended. */
  begin(what: string): void {
    this.#open.set(what, (this.#open.get(what) ?? 0) + 1);
  }

  end(what: string, now_ms: number): void {
    this.#open.set(what, Math.max(0, (this.#open.get(what) ?? 0) - 1));
    this.#until_ms.set(what, now_ms);
  }

  clear(now_ms: number): void {
    for (const what of this.#open.keys()) this.#until_ms.set(what, now_ms);
    this.#open.clear();
  }

  /** Whether it stood in the way at any time since then. */
  since(what: string, from_ms: number): boolean {
    return (this.#open.get(what) ?? 0) > 0 || (this.#until_ms.get(what) ?? -1) >= from_ms;
  }
}

/** The troubles' names. */
export const ofPartition = (partition: number): string => `partition ${partition}`;
export const ofTransaction = (partition: number): string => `transaction in ${partition}`;
export const OF_APPENDS = "appends";
export const OF_SIZE = "size";
export const OF_LETTERS = "letters";
