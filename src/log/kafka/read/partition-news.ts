import type { FetchResult } from "../../port.ts";

/**
 * What a reader has to tell of its partitions, in order, and what it told before: that one cannot be read is told once, and then again
 * when something is read of it, be it that there is nothing.
 *
 * ```
 *  of a partition: (well) ──hinder(), interrupt(), gone()──▶ owed ──isOwed(), with the next answer──▶ (well)
 * ```
 */
export class PartitionNews {
  #arrived: FetchResult[] = [];
  readonly #hindrances = new Map<number, string>();
  /** Partitions whose next answer is told even if it brings nothing. */
  readonly #owed = new Set<number>();
  readonly #gone = new Set<number>();

  /** `onNews` is told whenever there is something to take. */
  constructor(private readonly onNews: () => void) {}

  /** What there is of the partitions asked for: a batch that was asked for at another offset is of no use any more. */
  take(positions: ReadonlyMap<number, number>): FetchResult[] {
    const arrived = this.#arrived;
    this.#arrived = [];
    return arrived.filter((result) => {
      const offset = positions.get(result.partition);
      return "batch" in result ? result.batch.baseOffset === offset : offset !== undefined;
    });
  }

  tell(result: FetchResult): void {
    this.#arrived.push(result);
    this.onNews();
  }

  hinder(partition: number, why: string): void {
    if (this.#hindrances.get(partition) === why) return;
    this.#hindrances.set(partition, why);
    this.#owed.add(partition);
    this.tell({ partition, unavailable: why });
  }

  interrupt(partition: number, why: string): void {
    this.#owed.add(partition);
    this.tell({ partition, interrupted: why });
  }

  /** The topic does not exist. */
  gone(partition: number, why: string): void {
    if (this.#gone.has(partition)) return;
    this.#gone.add(partition);
    this.tell({ partition, interrupted: why, isGone: true });
  }

  /** The topic exists. */
  isBack(partition: number): void {
    if (this.#gone.delete(partition)) this.#owed.add(partition);
  }

  /** The partition's leader has answered. True where that is to be told even if there was nothing to read; asked once. */
  isOwed(partition: number): boolean {
    this.#hindrances.delete(partition);
    return this.#owed.delete(partition);
  }
}
