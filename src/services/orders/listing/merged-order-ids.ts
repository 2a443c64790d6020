import { AppError } from "../../../errors.ts";
import { orderProjection } from "../state/order-projection.ts";
import type { HeldPartitions, PartitionView } from "../../../runtime/held-partitions.ts";
import type { NewestRecords } from "../query/newest-records.ts";
import { requireAllTrusted, requireAssignment, requireTrusted } from "../query/trust.ts";

/** How many ids of all partitions a listing holds in memory at once; the next two bound how many of one partition. */
export const MERGE_IDS_MAX = 20_000;
const PAGE_IDS_MAX = 1_000;
const PAGE_IDS_MIN = 50;

/** How many ids one of so many parts of a listing reads at a time. */
export const pageIds = (parts: number, ids_max = MERGE_IDS_MAX): number =>
  Math.max(PAGE_IDS_MIN, Math.min(PAGE_IDS_MAX, Math.ceil(ids_max / Math.max(1, parts))));

/**
 * The ids of these partitions that are greater than `after`, in ascending order, each once even if several partitions
 * have it: a merge of their sorted pages. Throws PARTITION_ELSEWHERE if a partition is not held, or is taken away
 * meanwhile. Ids that arrive meanwhile may or may not be included.
 */
export function* mergedOrderIds(
  partitions: HeldPartitions,
  numbers: readonly number[],
  after = "",
  page_ids = pageIds(numbers.length),
): Generator<string, void, undefined> {
  let heads = numbers.map((partition) => new SortedIds(partitions, partition, page_ids, after));
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

/** Rejects unless all that could be read of these partitions as of this call is known, and they are held here. */
export async function requireListable(
  partitions: HeldPartitions,
  newest: Pick<NewestRecords, "requireApplied">,
  numbers: readonly number[],
): Promise<void> {
  const requireWhole = (): void => {
    requireAssignment(partitions);
    requireAllTrusted(partitions, heldOf(partitions, numbers));
  };
  // What cannot be told anyway is not waited for.
  requireWhole();
  await newest.requireApplied(numbers);
  requireWhole();
}

/**
 * At most `limit` of the ids of these partitions that are greater than `after`. The first page is given only if
 * everything is known of the partitions. Those that follow may lack what arrives meanwhile, as the listing may, so it is
 * enough that the rows have been complete since the partition was opened: what hinders it now breaks no listing off.
 */
export async function orderIdsPage(
  partitions: HeldPartitions,
  newest: Pick<NewestRecords, "requireApplied">,
  numbers: readonly number[],
  after: string,
  limit: number,
): Promise<string[]> {
  if (after === "") await requireListable(partitions, newest, numbers);
  else for (const held of heldOf(partitions, numbers)) requireTrusted(held);
  const page: string[] = [];
  for (const id of mergedOrderIds(partitions, numbers, after, pageIds(numbers.length, limit))) if (page.push(id) === limit) break;
  return page;
}

const heldOf = (partitions: HeldPartitions, numbers: readonly number[]): PartitionView[] =>
  numbers.map((partition) => partitions.get(partition) ?? raise(takenAway(partition)));

const takenAway = (partition: number): AppError =>
  new AppError("PARTITION_ELSEWHERE", `Partition ${partition} was taken away while its ids were listed; ask again.`, {
    partition,
  });

const raise = (error: AppError): never => {
  throw error;
};

/** One partition's ids, read a page at a time. */
class SortedIds {
  readonly #partitions: HeldPartitions;
  readonly #partition: number;
  readonly #page_ids: number;
  #page: readonly string[] = [];
  #index = 0;
  /** The smallest id not passed yet; undefined at the end. */
  head: string | undefined;

  constructor(partitions: HeldPartitions, partition: number, page_ids: number, after: string) {
    this.#partitions = partitions;
    this.#partition = partition;
    this.#page_ids = page_ids;
    this.#readPage(after);
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
    if (held === undefined || view === undefined) throw takenAway(this.#partition);
    try {
      this.#page = view.orderIdsAfter(after, this.#page_ids);
    } catch (e) {
      throw held.queryError(e);
    }
    this.#index = 0;
    this.head = this.#page[0];
  }
}
