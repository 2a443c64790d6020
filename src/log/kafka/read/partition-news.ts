import type { FetchResult } from "../../port.ts";

/**
 * What a reader has to tell of its partitions, in order, and what it has told already. That a partition cannot be read
 * is told once. After that, its next answer is told even if it brings nothing.
 *
 * ```
 *  a partition: well ──hinder(), interrupt(), noteTopicExists()──▶ owed ──takeOwed(), at the next answer──▶ well
 * ```
 */
export class PartitionNews {
  #arrived: FetchResult[] = [];
  readonly #hindrances = new Map<number, string>();
  /** The partitions whose next answer is told even if it brings nothing. */
  readonly #owed = new Set<number>();
  readonly #gone = new Set<number>();

  /** `onNews` is called whenever there is something to take. */
  constructor(private readonly onNews: () => void) {}

  /**
   * Takes the news of the partitions asked for. A batch that was asked for at another offset is of no use any more and
   * is dropped.
   */
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

  /** Notes that the topic does not exist. */
  noteTopicGone(partition: number, why: string): void {
    if (this.#gone.has(partition)) return;
    this.#gone.add(partition);
    this.tell({ partition, interrupted: why, isGone: true });
  }

  /** Notes that the topic exists. */
  noteTopicExists(partition: number): void {
    if (this.#gone.delete(partition)) this.#owed.add(partition);
  }

  /**
   * Notes that the partition's leader has answered. True if the answer is to be told even if it brings nothing; then
   * only once.
   */
  takeOwed(partition: number): boolean {
    this.#hindrances.delete(partition);
    return this.#owed.delete(partition);
  }
}
