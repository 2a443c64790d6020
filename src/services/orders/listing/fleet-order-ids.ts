import { type AppError, isAppError } from "../../../errors.ts";
import { type Fleet, HOPS_MS_MAX, type Question } from "../../../fleet/fleet.ts";
import { goodJson } from "../../../fleet/peer-problem.ts";
import type { HeldPartitions } from "../../../runtime/held-partitions.ts";
import type { Clock } from "../../../system/clock.ts";
import type { RequestSpan } from "../../../telemetry/tracer.ts";
import type { NewestRecords } from "../query/newest-records.ts";
import { orderIdsPage, pageIds } from "./merged-order-ids.ts";
import type { OrderIds } from "./order-listing.ts";

export const IDS_QUESTION_PATH = "/fleet/order-ids";

/** How long a listing waits for partitions that have moved; the new owner reads on first. */
const MOVE_WAIT_MS_MAX = 10_000;
/** The same before a listing has begun, so that its client can still be told to ask again. */
const BEGIN_WAIT_MS_MAX = 400;
const MOVE_RETRY_MS = 100;
/** What passes by itself while partitions move. */
const MOVING = ["CATCHING_UP", "OWNER_UNREACHABLE"];
/** What a listing waits for once it has begun. Before that, who is overloaded is not asked again at once. */
const PASSING = [...MOVING, "OVERLOADED"];

export interface FleetOrderIdsOptions {
  readonly partitions: HeldPartitions;
  readonly newest: Pick<NewestRecords, "requireApplied">;
  readonly fleet: Fleet;
  readonly clock: Clock;
  /** How many ids a page has at most; without it, what is best. A simulation draws a lower number. */
  readonly page_ids_max?: number | undefined;
  /** The span of the request for the list, if that is traced. */
  readonly span?: RequestSpan | undefined;
}

/** The next ids of those partitions that one member holds. */
interface Page {
  readonly partitions: readonly number[];
  readonly ids: readonly string[];
  /** Whether there are none after these. */
  readonly isLast: boolean;
}

/** A page, and how far it is told. */
interface Share extends Page {
  index: number;
}

/**
 * The ids of all partitions in ascending order, each once: a merge of the pages of those who hold them. When partitions
 * move, what is left of them is asked of their new owners, after the last id that was told.
 *
 * ```
 *  made ──load(): each owner gives its first page──▶ telling ⇄ load(), where a page is used up ──▶ over
 *                 └── one does not: rejects, and nothing is told        └── rejects: broken off
 * ```
 */
export class FleetOrderIds implements OrderIds {
  readonly #options: FleetOrderIdsOptions;
  #shares: Share[] = [];
  /** The partitions whose next page is to be read. */
  #unread: readonly number[];
  #last = "";
  #isBegun = false;

  constructor(partitionCount: number, options: FleetOrderIdsOptions) {
    this.#options = options;
    this.#unread = Array.from({ length: partitionCount }, (_, partition) => partition);
  }

  next(): IteratorResult<string> | undefined {
    if (this.#unread.length > 0) return undefined;
    let least: string | undefined;
    for (const { ids, index } of this.#shares) {
      const head = ids[index];
      if (head !== undefined && (least === undefined || head < least)) least = head;
    }
    if (least === undefined) return { done: true, value: undefined };
    this.#last = least;
    for (const share of this.#shares) if (share.ids[share.index] === least) share.index++;
    const usedUp = this.#shares.filter(({ ids, index }) => index >= ids.length);
    if (usedUp.length > 0) {
      this.#shares = this.#shares.filter(({ ids, index }) => index < ids.length);
      this.#unread = usedUp.flatMap(({ partitions, isLast }) => (isLast ? [] : partitions));
    }
    return { done: false, value: least };
  }

  async load(): Promise<void> {
    const { clock } = this.#options;
    const [wait_ms_max, passing] = this.#isBegun ? [MOVE_WAIT_MS_MAX, PASSING] : [BEGIN_WAIT_MS_MAX, MOVING];
    const until_ms = clock.now_ms() + wait_ms_max;
    while (this.#unread.length > 0) {
      const failure = await this.#ask();
      if (failure === undefined) continue;
      if (!passing.includes(failure.code) || clock.now_ms() >= until_ms) throw failure;
      await clock.sleep(MOVE_RETRY_MS);
    }
    this.#isBegun = true;
  }

  /** Takes the pages that come, and resolves with why another one does not. */
  async #ask(): Promise<AppError | undefined> {
    const { fleet, partitions, newest, clock, span, page_ids_max = Number.POSITIVE_INFINITY } = this.#options;
    const after = this.#last;
    const limit = Math.min(page_ids_max, pageIds(this.#shares.length + 1 + fleet.members.peers.length));
    const question: Question<Page> = {
      isHere: (partition) => partitions.get(partition) !== undefined,
      here: (asked) => pageHere(partitions, newest, asked, after, limit),
      request: (asked) => ({
        span,
        path: `${IDS_QUESTION_PATH}?${new URLSearchParams({ partitions: asked.join(","), after, limit: String(limit) }).toString()}`,
      }),
      read: (answer, asked) => pageOf(asked, (goodJson(answer) as { readonly orderIds: readonly string[] }).orderIds, limit),
    };
    const told = await fleet.ask(this.#unread, question, clock.now_ms() + HOPS_MS_MAX);
    let failure: AppError | undefined;
    const pages = new Set<Page>();
    for (const page of told.values())
      if (isAppError(page)) failure ??= page;
      else pages.add(page);
    for (const page of pages) if (page.ids.length > 0) this.#shares.push({ ...page, index: 0 });
    const isRead = new Set([...pages].flatMap((page) => page.partitions));
    this.#unread = this.#unread.filter((partition) => !isRead.has(partition));
    return failure;
  }
}

async function pageHere(
  partitions: HeldPartitions,
  newest: Pick<NewestRecords, "requireApplied">,
  asked: readonly number[],
  after: string,
  limit: number,
): Promise<ReadonlyMap<number, Page | AppError>> {
  try {
    return pageOf(asked, await orderIdsPage(partitions, newest, asked, after, limit), limit);
  } catch (e) {
    if (isAppError(e)) return new Map(asked.map((partition) => [partition, e]));
    throw e;
  }
}

/** All partitions that were asked about together have one page together. */
function pageOf(asked: readonly number[], ids: readonly string[], limit: number): ReadonlyMap<number, Page> {
  if (!Array.isArray(ids)) throw new Error("it has no list of ids");
  const page: Page = { partitions: asked, ids, isLast: ids.length < limit };
  return new Map(asked.map((partition) => [partition, page]));
}
