/**
 * What is wrong with the log at the moment, and how long ago each of these troubles ended, so that it does not excuse
 * anything else.
 */
export class Troubles {
  readonly #until_ms = new Map<string, number>();
  readonly #open = new Map<string, number>();
  /** Partitions with records that must become dead letters. */
  readonly poisoned = new Set<number>();

  /** Begins a trouble. Calls nest: a trouble is over when the last of its kind has ended. */
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

  /** Whether the trouble was there at any time since `from_ms`. */
  since(what: string, from_ms: number): boolean {
    return (this.#open.get(what) ?? 0) > 0 || (this.#until_ms.get(what) ?? -1) >= from_ms;
  }
}

/** The names of the troubles. */
export const ofPartition = (partition: number): string => `partition ${partition}`;
export const ofTransaction = (partition: number): string => `transaction in ${partition}`;
export const OF_APPENDS = "appends";
export const OF_SIZE = "size";
export const OF_LETTERS = "letters";
