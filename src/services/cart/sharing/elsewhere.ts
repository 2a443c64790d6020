import { AppError, isAppError } from "../../../errors.ts";
import { ByPeer, type Fleet, FRESH_WAIT_MS_MAX } from "../../../fleet/fleet.ts";
import type { Peer } from "../../../fleet/members.ts";
import { hashOf, type Partitioner } from "../../../log/partitioner.ts";
import type { HeldPartitions } from "../../../runtime/held-partitions.ts";
import type { Clock } from "../../../system/clock.ts";
import type { Coverage } from "./coverage.ts";
import type { Holders } from "./holders.ts";
import { shareOf } from "./share-of.ts";
import { type FoundInIndex, type IndexQuestion, indexQuestionRequest, readToldIndex, type ToldIndex } from "./index-question.ts";

/** What other carts know of an order whose home this cart has. */
export interface Elsewhere {
  /** Whether other carts are to be asked about the partition. */
  isElsewhere(partition: number): boolean;
  /** Whether this cart's own index of the partition lacks what others placed there by fewer partitions. */
  isShort(partition: number): boolean;
  /**
   * The partitions of other carts, those of `left`, and those that are halted here too early to tell, that may have the
   * order, besides those where carts create it.
   */
  mayHave(orderId: string, left?: readonly number[]): readonly number[];
  /** All partitions of other carts, and those of `left`. */
  all(left: readonly number[]): readonly number[];
  /**
   * What the indexes of these partitions have of an order; of several the lowest one's order counts. Rejects if one of
   * them is not told, with why that is so.
   */
  find(question: IndexQuestion, partitions: readonly number[], deadline_ms: number): Promise<FoundInIndex>;
}

/** A cart that has the indexes of all partitions asks nobody. */
export const nowhere: Elsewhere = {
  isElsewhere: () => false,
  isShort: () => false,
  mayHave: () => [],
  all: () => [],
  find: () => Promise.resolve({}),
};

/** Each holder of an index is asked at most once, and once more after a newer assignment. */
const ROUNDS_MAX = 4;

export interface IndexesElsewhereOptions {
  readonly partitions: Pick<HeldPartitions, "partitionCount">;
  readonly holders: Holders;
  readonly coverage: Coverage;
  readonly fleet: Fleet;
  /** The partitions where carts create the order; undefined while that is not known. */
  readonly homes: (orderId: string) => readonly number[] | undefined;
  /** Whether a partition that is halted here may have the order, by what its index had read. */
  readonly haltedMayHave: (partition: number, orderId: string) => boolean;
  readonly partitioner: Partitioner;
  readonly clock: Clock;
}

/** The indexes that other carts hold, asked by one hop to each of these carts. */
export class IndexesElsewhere implements Elsewhere {
  constructor(private readonly options: IndexesElsewhereOptions) {}

  isElsewhere(partition: number): boolean {
    return this.options.holders.isElsewhere(partition);
  }

  isShort(partition: number): boolean {
    return this.options.holders.isShort(partition);
  }

  mayHave(orderId: string, left: readonly number[] = []): readonly number[] {
    const { coverage, holders, homes: homesOf, haltedMayHave, partitioner } = this.options;
    const hash = hashOf(partitioner, orderId);
    const mayHave = (partition: number): boolean => {
      const isHaltedShort = holders.isHaltedShort(partition);
      // Without another cart, only what its own index had read tells where an order may be.
      if (isHaltedShort && holders.peersOf(partition).length === 0) return haltedMayHave(partition, orderId);
      return (isHaltedShort || this.#isAsked(partition, left)) && coverage.mayHave(partition, hash);
    };
    let homes: readonly number[] | undefined;
    return this.#those((partition) => {
      if (!mayHave(partition)) return false;
      homes ??= homesOf(orderId) ?? [];
      return !homes.includes(partition);
    });
  }

  all(left: readonly number[]): readonly number[] {
    return this.#those((partition) => this.#isAsked(partition, left));
  }

  async find(question: IndexQuestion, asked: readonly number[], deadline_ms: number): Promise<FoundInIndex> {
    const { fleet, clock, holders } = this.options;
    const told = new Map<number, FoundInIndex | AppError>();
    const failures = new Map<number, string>();
    const tried = new Map<number, Set<string>>(asked.map((partition) => [partition, new Set()]));
    for (let round = 0; round < ROUNDS_MAX; round++) {
      // Where one index is halted or cannot answer, another one may have what it lacks.
      const left = asked.filter((partition) => isUnsettled(told.get(partition)));
      if (left.length === 0) break;
      const byPeer = new ByPeer();
      let others = 0;
      for (const partition of left) {
        const peer = holders.peersOf(partition).find(({ url }) => tried.get(partition)?.has(url) !== true);
        if (peer === undefined) continue;
        tried.get(partition)?.add(peer.url);
        others = Math.max(others, holders.peersOf(partition).length - (tried.get(partition)?.size ?? 0));
        byPeer.add(peer, partition);
      }
      if (byPeer.size === 0) {
        if (left.every((partition) => told.has(partition))) break;
        const { version } = fleet.members;
        if (!(await fleet.members.newerThan(version, Math.min(FRESH_WAIT_MS_MAX, deadline_ms - clock.now_ms())))) break;
        for (const peers of tried.values()) peers.clear();
        continue;
      }
      const until_ms = shareOf(deadline_ms, others, clock);
      await Promise.all(
        [...byPeer.values()].map(({ peer, partitions }) => this.#ask(peer, question, partitions, until_ms, told, failures)),
      );
    }
    return foundIn(question, asked, told, failures);
  }

  async #ask(
    peer: Peer,
    question: IndexQuestion,
    partitions: readonly number[],
    deadline_ms: number,
    told: Map<number, FoundInIndex | AppError>,
    failures: Map<number, string>,
  ): Promise<void> {
    const { fleet, coverage, clock } = this.options;
    const request = indexQuestionRequest(question, partitions, (partition) => coverage.requiredOf(partition));
    const answer = await fleet.send(peer, request, deadline_ms - clock.now_ms());
    let answers: ToldIndex = new Map();
    let failure = `${peer.url} does not hold it.`;
    if ("failure" in answer) failure = answer.detail;
    else {
      try {
        answers = readToldIndex(answer);
      } catch (e) {
        failure = `${peer.url} answers what cannot be used: ${(e as Error).message}`;
      }
    }
    for (const partition of partitions) {
      const found = answers.get(partition);
      if (found === undefined || isAppError(found, "PARTITION_ELSEWHERE")) failures.set(partition, failure);
      // That one which is halted may lack something says less than that another one lacks it for certain.
      else if (!told.has(partition) || !isUnsettled(found) || isAppError(found)) told.set(partition, found);
    }
  }

  #isAsked(partition: number, left: readonly number[]): boolean {
    return this.options.holders.isElsewhere(partition) || left.includes(partition);
  }

  #those(isWanted: (partition: number) => boolean): number[] {
    const those: number[] = [];
    for (let partition = 0; partition < this.options.partitions.partitionCount; partition++)
      if (isWanted(partition)) those.push(partition);
    return those;
  }
}

/** Whatever keeps one holder from telling, such as a full disk or a store that is made anew, is its own. */
const isUnsettled = (told: FoundInIndex | AppError | undefined): boolean =>
  told === undefined || isAppError(told) || told.mayLack === true;

function foundIn(
  { orderId }: IndexQuestion,
  asked: readonly number[],
  told: ToldIndex,
  failures: ReadonlyMap<number, string>,
): FoundInIndex {
  let order: FoundInIndex["order"];
  let keyed: FoundInIndex["keyed"];
  let doubt: AppError | undefined;
  for (const partition of asked.toSorted((a, b) => a - b)) {
    const found = told.get(partition) ?? unreachable(partition, failures.get(partition));
    if (isAppError(found)) doubt ??= found;
    else {
      order ??= found.order;
      if (keyed === undefined || (keyed.orderId !== orderId && found.keyed?.orderId === orderId)) keyed = found.keyed ?? keyed;
    }
  }
  if (doubt !== undefined && order === undefined) throw doubt;
  return { order, keyed };
}

/** No cart told what the index of the partition has. */
export const unreachable = (partition: number, why = "No cart holds it now."): AppError =>
  new AppError("OWNER_UNREACHABLE", `The index of partition ${partition} cannot be asked now; try again. ${why}`, { partition });
