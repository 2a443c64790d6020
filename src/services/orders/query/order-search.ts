import { AppError, isAppError } from "../../../errors.ts";
import { type Fleet, HOPS_MS_MAX, type Question, type Told } from "../../../fleet/fleet.ts";
import type { Asker, InFlight } from "../../../http/in-flight.ts";
import type { LogPosition } from "../../../log/log-position.ts";
import type { HeldPartitions } from "../../../runtime/held-partitions.ts";
import type { Clock } from "../../../system/clock.ts";
import {
  type FoundOrder,
  foundIn,
  isKnown,
  type KnownOrder,
  knownIn,
  knownToStandby,
  notFound,
  type OrderRowPlace,
  type PartitionOf,
  placesIn,
  type ToldOrder,
} from "./known-order.ts";
import { NEWEST_WAIT_MS_MAX, type NewestRecords } from "./newest-records.ts";
import { orderQuestionRequest, type OrderQuestion, readToldOrder, toldOr } from "./order-question.ts";
import { isAbsent, isAway, isBetter, isCatchingUp, isUnsettled } from "./unsettled.ts";
import { waitForRequested } from "./requested-position.ts";
import { hasUnread } from "./trust.ts";
import type { UnreadRecords } from "./unread/unread-records.ts";

/** A partition that changes hands, or whose owner waits for the group's word, can mostly be told of in a moment. */
const AGAIN_MS_MAX = 400;
const AGAIN_WAIT_MS = 100;

export interface OrderSearchOptions {
  readonly partitions: HeldPartitions;
  readonly partitionOf: PartitionOf;
  readonly fleet: Fleet;
  readonly newest: NewestRecords;
  readonly unread?: UnreadRecords | undefined;
  readonly read_wait_ms_max: number;
  readonly inFlight: InFlight;
  readonly clock: Clock;
}

/** What is said of an answer that may not be as the order is now. */
export interface StaleAnswer {
  /** For how long, at most, the log may have had more of the order. */
  readonly age_ms: number;
  /** Everything in its partition up to there is in the answer. */
  readonly position: LogPosition;
}

export interface OrderAnswer {
  /** JSON. */
  readonly details: string;
  /** Undefined if the owner has told it, and is not known to be far behind the log. */
  readonly stale: StaleAnswer | undefined;
}

/**
 * Finds an order wherever in the fleet it is: in the partitions that are held here by looking, in the others by asking
 * who holds them. A fleet of one asks nobody.
 */
export class OrderSearch {
  constructor(private readonly options: OrderSearchOptions) {}

  /**
   * The answer of `GET /order-details`. Rejects with ORDER_NOT_FOUND only if every partition was told of within this
   * call: the one where the partitioner puts the order has been read to its end as of this call, and so has each of the
   * others whose end the log tells and that goes on; what the rest held when it was last heard of has been applied, or
   * searched for the order. Else it rejects with why that is not so.
   *
   * Without a position, where the owner cannot be asked, the order is told as a standby or a former owner has it
   * (decision 37).
   */
  async details(orderId: string, position: LogPosition | undefined, asker: Asker): Promise<OrderAnswer> {
    const { partitions, clock } = this.options;
    const began_ms = clock.now_ms();
    const asked = this.#question(orderId, position, asker, false);
    const { home, partitionCount, mayBeStale } = asked;
    const told: Told<KnownOrder> = new Map();
    await this.#waitHere(position, asker);
    if (position !== undefined && this.#isAtPeer(position.partition)) {
      await asked.add([...new Set([position.partition, ...(home !== undefined && this.#isAtPeer(home) ? [home] : [])])], told);
      const waited = told.get(position.partition);
      if (isAppError(waited)) throw waited;
    }
    const askHome = async (partition: number): Promise<void> => {
      const held = partitions.get(partition);
      const here = held && toldOr(() => knownIn(partitions, held, orderId, { isHome: true, mayBeStale }));
      if (here !== undefined && !isUnsettled(here) && !isAbsent(here)) told.set(partition, here);
      else if (held !== undefined || this.#isAtPeer(partition)) await asked.add([partition], told);
      await asked.addStale([partition], told);
    };
    if (home !== undefined && !told.has(home)) {
      await askHome(home);
      while (isCatchingUp(told.get(home)) && clock.now_ms() - began_ms < AGAIN_MS_MAX) {
        await clock.sleep(AGAIN_WAIT_MS);
        await askHome(home);
      }
    }
    const atHome = home === undefined ? undefined : told.get(home);
    const isAtHome = isKnown(atHome) && atHome.details !== undefined;
    if (isAppError(atHome) && !isAway(atHome)) throw atHome;
    if (!isAtHome) {
      const others = without(partitionCount, told);
      await asked.add(others, told);
      if (foundIn(told, home) === undefined) await asked.addStale(others, told);
    }
    const found = foundIn(told, home);
    if (found !== undefined) return answerOf(found, clock.now_ms() - began_ms);
    throw this.#notFound(orderId, told, home, partitionCount);
  }

  /**
   * The partitions that have a row of the order. Rejects if one of them may have one and its owner does not tell, or as
   * `details` does if there is none.
   */
  async places(orderId: string, position: LogPosition | undefined, asker: Asker): Promise<readonly OrderRowPlace[]> {
    const asked = this.#question(orderId, position, asker, true);
    const { home, partitionCount } = asked;
    const told: Told<KnownOrder> = new Map();
    await this.#waitHere(position, asker);
    await asked.add(without(partitionCount, told), told);
    const waited = position && told.get(position.partition);
    if (isAppError(waited)) throw waited;
    const places = placesIn(told, home);
    if (places.length === 0) throw this.#notFound(orderId, told, home, partitionCount);
    for (const one of told.values()) {
      const doubt = isKnown(one) ? one.doubt : one;
      // Without a word from the group, who else may have rows of the order is not known.
      if (doubt !== undefined && doubt.code !== "PARTITION_ELSEWHERE") throw doubt;
    }
    return places;
  }

  /**
   * What the partitions that are held here have of the order. It leaves out those that are not. Rejects with nothing but
   * a defect.
   */
  async here(
    question: OrderQuestion,
    asked: readonly number[],
    asker: Asker,
    wait_ms_max: number,
  ): Promise<Map<number, KnownOrder | AppError>> {
    const { partitions, unread, clock } = this.options;
    const { orderId, home, position, isWhole, mayBeStale } = question;
    const deadline_ms = clock.now_ms() + wait_ms_max;
    const told = new Map<number, KnownOrder | AppError>();
    const look = (partition: number, isSearched: boolean): void => {
      const held = partitions.get(partition);
      const known = toldOr(() => {
        if (held !== undefined) return knownIn(partitions, held, orderId, { isHome: partition === home, isSearched, mayBeStale });
        return mayBeStale ? this.#followed(partition, orderId) : undefined;
      });
      if (known === undefined) told.delete(partition);
      else told.set(partition, known);
    };
    const late = position && asked.includes(position.partition) ? await this.#late(position, asker, wait_ms_max) : undefined;
    for (const partition of asked) look(partition, false);
    const isTold = () => [...told.values()].some((known) => isKnown(known) && known.details !== undefined);
    const absent = isTold() ? [] : asked.filter((partition) => isAbsent(told.get(partition)));
    const hasCome = (): boolean => {
      if (home !== undefined) look(home, false);
      return isTold();
    };
    // An order that comes meanwhile does not end the wait of who asks for all there is.
    const isFound = isWhole ? undefined : hasCome;
    // What was last heard of the log's end may be older than the request.
    const newest =
      absent.length > 0 ? await this.#newest(home, absent, asker, wait_ms_max, isFound) : new Map<number, AppError>();
    const unapplied = isAppError(newest) ? new Map(absent.map((partition) => [partition, newest])) : newest;
    for (const partition of absent) look(partition, false);
    for (const [partition, why] of unapplied) {
      const known = told.get(partition);
      if (isAbsent(known)) told.set(partition, { ...known, doubt: why });
    }
    if (!isAppError(newest) && (!isTold() || isWhole)) {
      // Without its records that are not applied, a partition cannot say that it has nothing of the order.
      const behind = [...told.keys()].flatMap((partition) => {
        const held = partition === home ? undefined : partitions.get(partition);
        return held?.isComplete === true && (hasUnread(held) || unapplied.has(partition)) ? [held] : [];
      });
      const searched = await unread?.without(orderId, behind, deadline_ms - clock.now_ms());
      for (const partition of searched ?? []) look(partition, true);
    }
    if (position !== undefined && late !== undefined) told.set(position.partition, late);
    return told;
  }

  /**
   * Waits until these partitions have applied what the log has now. Resolves with why not, of those that have not; or with
   * why that was not looked for.
   */
  async #newest(
    home: number | undefined,
    absent: readonly number[],
    asker: Asker,
    wait_ms_max: number,
    isFound: (() => boolean) | undefined,
  ): Promise<ReadonlyMap<number, AppError> | AppError> {
    const { newest, inFlight } = this.options;
    const others = absent.filter((partition) => partition !== home);
    const absentHome = absent.find((partition) => partition === home);
    const wait_ms = Math.max(0, Math.min(NEWEST_WAIT_MS_MAX, wait_ms_max));
    try {
      const unapplied = await inFlight.waiting.run(asker.client, () =>
        newest.applied(absentHome, others, wait_ms, { isFound, leaving: asker.leaving }),
      );
      return unapplied === "left" ? new AppError("LOG_UNAVAILABLE", "Whoever asked does not wait any more.") : unapplied;
    } catch (e) {
      if (isAppError(e)) return e;
      throw e;
    }
  }

  /** What this process has of the order as the partition's standby; undefined if it is none, or does not have the order. */
  #followed(partition: number, orderId: string): KnownOrder | undefined {
    for (const standby of this.options.partitions.standbys?.() ?? [])
      if (standby.partition === partition) return knownToStandby(standby, orderId);
    return undefined;
  }

  /** Why the position is not applied; undefined if it is. */
  async #late(position: LogPosition, asker: Asker, wait_ms_max: number): Promise<AppError | undefined> {
    const { read_wait_ms_max } = this.options;
    try {
      await waitForRequested(position, asker, {
        ...this.options,
        read_wait_ms_max: Math.max(0, Math.min(read_wait_ms_max, wait_ms_max)),
      });
      return undefined;
    } catch (e) {
      if (isAppError(e)) return e;
      throw e;
    }
  }

  /** Waits if the position is of a partition that is held here, and refuses it if it is nobody's to ask. */
  async #waitHere(position: LogPosition | undefined, asker: Asker): Promise<void> {
    if (position === undefined || this.#isAtPeer(position.partition)) return;
    try {
      await waitForRequested(position, asker, this.options);
    } catch (e) {
      // If the partition was taken away meanwhile, whoever has it now is asked.
      if (!isAppError(e, "PARTITION_ELSEWHERE") || !this.#isAtPeer(position.partition)) throw e;
    }
  }

  /** Whether another member must be asked, and can be. */
  #isAtPeer(partition: number): boolean {
    const { partitions, fleet } = this.options;
    if (partitions.get(partition) !== undefined) return false;
    const owner = fleet.members.ownerOf(partition);
    return owner !== undefined && owner !== "nobody";
  }

  #question(orderId: string, position: LogPosition | undefined, asker: Asker, isWhole: boolean) {
    const { partitions, partitionOf, fleet, clock, read_wait_ms_max } = this.options;
    const partitionCount = Math.max(partitions.partitionCount, fleet.members.partitionCount);
    const home = partitionCount === 0 ? undefined : partitionOf(orderId, partitionCount);
    // Who asks for a position, or for all that there is, gets it from the owners or not at all.
    const mayBeStale = position === undefined && !isWhole;
    const question: OrderQuestion = { orderId, home, position, isWhole, mayBeStale };
    const wait_ms_max = position === undefined ? 0 : read_wait_ms_max;
    const deadline_ms = clock.now_ms() + HOPS_MS_MAX + wait_ms_max;
    const put: Question<KnownOrder> = {
      isHere: (partition) => partitions.get(partition) !== undefined,
      here: (asked) => this.here(question, asked, asker, deadline_ms - clock.now_ms()),
      request: (asked) => ({ ...orderQuestionRequest(question, asked), span: asker.span }),
      read: readToldOrder,
      wait_ms_max,
      ...(mayBeStale && { isSecondHand: ({ stale }) => stale?.mayBeElsewhere === true }),
    };
    const add = async (asked: readonly number[], told: Told<KnownOrder>): Promise<void> => {
      if (asked.length === 0) return;
      for (const [partition, one] of await fleet.ask(asked, put, deadline_ms)) told.set(partition, one);
    };
    /** Takes what followers tell of the partitions whose owner could not be asked. */
    const addStale = async (asked: readonly number[], told: Told<KnownOrder>): Promise<void> => {
      const left = mayBeStale ? asked.filter((partition) => isUnsettled(told.get(partition))) : [];
      const take = (partition: number, known: KnownOrder | AppError | undefined): boolean => {
        const isTaken = isKnown(known) && isBetter(known, told.get(partition));
        if (isTaken) told.set(partition, known);
        return isTaken;
      };
      const atPeers = left.filter(
        (partition) =>
          !take(
            partition,
            toldOr(() => this.#followed(partition, orderId)),
          ),
      );
      if (atPeers.length === 0) return;
      for (const [partition, known] of await fleet.askFollowers(atPeers, put, deadline_ms)) take(partition, known);
    };
    return { home, partitionCount, mayBeStale, add, addStale };
  }

  #notFound(orderId: string, told: ToldOrder, home: number | undefined, partitionCount: number): AppError {
    const { partitions } = this.options;
    // While the number of partitions is not known, a held one that is halted still says more than that.
    const halted = home === undefined ? [...partitions.held()].find(({ state }) => state === "halted") : undefined;
    const known = halted && toldOr(() => knownIn(partitions, halted, orderId, { isHome: true }));
    if (isKnown(known) && known.doubt !== undefined) return known.doubt;
    return isAppError(known) ? known : notFound(orderId, told, home, partitionCount, partitions);
  }
}

/** The answer, `since_ms` after it was first asked for. */
const answerOf = ({ partition, nextOffset, details, stale }: FoundOrder, since_ms: number): OrderAnswer => ({
  details,
  stale: stale && { age_ms: stale.age_ms + since_ms, position: { partition, offset: nextOffset - 1 } },
});

/** The partitions of which nothing was told yet. */
const without = (partitionCount: number, told: ToldOrder): number[] => {
  const left: number[] = [];
  for (let partition = 0; partition < partitionCount; partition++) if (!told.has(partition)) left.push(partition);
  return left;
};
