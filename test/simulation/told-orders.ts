import { parseLogPosition } from "../../src/log/log-position.ts";
import { foldPartition, type ReferenceOrder } from "../reference/reference.ts";
import { Violation } from "../reference/violation.ts";
import { Prefixes } from "./prefixes.ts";
import { TOPIC } from "./topic-names.ts";
import { ofPartition } from "./troubles.ts";
import type { World } from "./world.ts";

/** An order as an answer tells it, with the headers of that answer. */
export interface ToldOrder {
  readonly order: { readonly orderId: string; readonly customerId: string; readonly status: string };
  readonly age: string | null;
  readonly logPosition: string | null;
}

/** By an answer's status: at which next offsets of its partition the order was as told, from the first to the last. */
interface Told {
  readonly partition: number;
  readonly from: number;
  readonly to: number;
}

/** A longer time than a leader, or whoever reads from it, goes on telling an older end of the log. */
const TROUBLED_MS = 2_000;

/**
 * Holds what order services tell of orders against what was told before. What is told unmarked, or with an age, is not
 * older than what anybody told unmarked before it was asked for, or before that age: then it would have been known not to
 * be current. And what is told with a position is the order as it was there.
 */
export class ToldOrders {
  violation: Violation | undefined;
  /** What was told unmarked, by order and partition. */
  readonly #told = new Map<string, (Told & { readonly at_ms: number; readonly by: string })[]>();
  /** Where the partitions ended at some times. */
  readonly #ends: { readonly at_ms: number; readonly ends: readonly number[] }[] = [];
  readonly #prefixes: Prefixes;

  constructor(private readonly world: World) {
    this.#prefixes = new Prefixes(world);
  }

  /** Notes where the partitions end now, for the ages that are told later. */
  noteEnds(): void {
    const ends = this.world.broker.topics.topic(TOPIC).map(({ entries }) => entries.length);
    this.#ends.push({ at_ms: this.world.scheduler.now_ms, ends });
  }

  /** Takes what `by` has told; it was asked for at `asked_ms`. */
  note(by: string, { order, age, logPosition }: ToldOrder, asked_ms: number): void {
    const { scheduler, losses } = this.world;
    if ((age === null) !== (logPosition === null) || (age !== null && !/^[1-9][0-9]*$/.test(age)))
      return this.#note("stale-is-marked", `${by} tells ${order.orderId} with the age ${age} and the position ${logPosition}`);
    const found = this.#places(order);
    if (found === undefined || losses.firstLostOffset(found.told.partition) < Number.POSITIVE_INFINITY) return;
    const { told, reference } = found;
    const what = `${by} tells ${order.orderId} as ${order.status}${age === null ? "" : `, ${age} s old`}`;
    const position = logPosition === null ? undefined : parseLogPosition(logPosition);
    if (position !== undefined && statusAt(reference, position.offset + 1) !== order.status)
      this.#note("stale-is-marked", `${what} at ${logPosition}, where it was ${statusAt(reference, position.offset + 1)}`);
    const current_ms = asked_ms - Number(age ?? 0) * 1_000;
    // A leader that was replaced and does not know it, and whoever reads from it, tells what was so before.
    if (age !== null && this.world.troubles.since(ofPartition(told.partition), current_ms - TROUBLED_MS)) return;
    const name = `${order.orderId} ${told.partition}`;
    const before = this.#told.get(name) ?? [];
    const newer = before.find(({ at_ms, from }) => at_ms < current_ms && told.to < from);
    if (newer !== undefined)
      this.#note("reads-go-on", `${what}, and ${newer.by} had told it later than that, ${asked_ms - newer.at_ms} ms before`);
    if (age === null) this.#told.set(name, [...before, { ...told, at_ms: scheduler.now_ms, by }]);
    else if (told.to < this.#endAt(current_ms, told.partition)) this.#note("stale-is-marked", `${what}, and it was not then`);
  }

  /** The partition's end at that time, or at the last one before it that was noted. */
  #endAt(at_ms: number, partition: number): number {
    return this.#ends.findLast((noted) => noted.at_ms <= at_ms)?.ends[partition] ?? 0;
  }

  /** Undefined where it is not certain which of several creates was told of. */
  #places({ orderId, customerId, status }: ToldOrder["order"]): { told: Told; reference: ReferenceOrder } | undefined {
    const found = this.world.broker.topics.topic(TOPIC).flatMap(({ entries }, partition) => {
      const reference = foldPartition(this.#prefixes.records(partition, entries.length)).orders.get(orderId);
      return reference?.customerId === customerId ? [{ partition, reference }] : [];
    });
    const [one] = found;
    if (one === undefined || found.length > 1) return undefined;
    const { partition, reference } = one;
    const { statuses } = reference;
    const first = statuses.find((each) => each.status === status);
    if (first === undefined) return undefined;
    const next = statuses[statuses.findLastIndex((each) => each.status === status) + 1];
    const to = next?.offset ?? Number.POSITIVE_INFINITY;
    return { told: { partition, from: first.offset + 1, to }, reference };
  }

  #note(invariant: string, detail: string): void {
    this.violation ??= new Violation(invariant, detail);
  }
}

const statusAt = ({ statuses }: ReferenceOrder, nextOffset: number): string | undefined =>
  statuses.findLast(({ offset }) => offset < nextOffset)?.status;
