import { AppError } from "../../../errors.ts";
import { orderProjection } from "../state/order-projection.ts";
import type { HeldPartitions } from "../../../runtime/held-partitions.ts";

/** How many ids of all partitions a listing holds in memory at once; the next two bound how many of one partition. */
const MERGE_IDS_MAX = 20_000;
const PAGE_IDS_MAX = 1_000;
const PAGE_IDS_MIN = 50;

/**
 * The ids of all held partitions in ascending order, each once even if several partitions have it: a merge of their
 * sorted pages. Throws PARTITION_ELSEWHERE if a partition is taken away meanwhile. Ids that arrive meanwhile may or
 * may not be included.
 */
export function* mergedOrderIds(partitions: HeldPartitions): Generator<string, void, undefined> {
  const numbers = Array.from(partitions.held(), (held) => held.partition);
  const page_ids = Math.max(PAGE_IDS_MIN, Math.min(PAGE_IDS_MAX, Math.floor(MERGE_IDS_MAX / Math.max(1, numbers.length))));
  let heads = numbers.map((partition) => new SortedIds(partitions, partition, page_ids));
  heads = heads.filter((ids) => ids.head !== undefined);
  while (heads.length > 0) {
    let least: string | undefined;
    for (const { head } of heads) if (head !== undefined && (least === undefined || head < least)) least = head;
    if (least === undefined) return;
    yield least;
    let oneEnded = false;
    for (const ids of heads) {
      if (ids.head !== least) continue;
      ids.advance();
      oneEnded ||= ids.head === undefined;
    }
    if (oneEnded) heads = heads.filter((ids) => ids.head !== undefined);
  }
}

/** One partition's ids, read a page at a time. */
class SortedIds {
  readonly #partitions: HeldPartitions;
  readonly #partition: number;
  readonly #page_ids: number;
  #page: readonly string[] = [];
  #index = 0;
  /** The smallest id not passed yet; undefined at the end. */
  head: string | undefined;

  constructor(partitions: HeldPartitions, partition: number, page_ids: number) {
    this.#partitions = partitions;
    this.#partition = partition;
    this.#page_ids = page_ids;
    this.#readPage("");
  }

  advance(): void {
    const passed = this.head;
    if (passed === undefined) return;
    if (++this.#index < this.#page.length) this.head = this.#page[this.#index];
    else if (this.#page.length < this.#page_ids) this.head = undefined;
    else this.#readPage(passed);
  }

  #readPage(after: string): void {
    const held = this.#partitions.get(this.#partition);
    const view = held?.view(orderProjection);
    if (held === undefined || view === undefined) {
      throw new AppError(
        "PARTITION_ELSEWHERE",
        `Partition ${this.#partition} was taken away while its ids were listed; ask again.`,
        { partition: this.#partition },
      );
    }
    try {
      this.#page = view.orderIdsAfter(after, this.#page_ids);
    } catch (e) {
      throw held.queryError(e);
    }
    this.#index = 0;
    this.head = this.#page[0];
  }
}
