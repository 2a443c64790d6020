import type { NewRecord } from "../../src/log/port.ts";
import { DEAD_LETTER_HEADERS } from "../../src/log/record-headers.ts";
import type { PartitionActor } from "../../src/runtime/actor/actor.ts";
import { findOrder } from "../support/find-order.ts";
import type { OrderService } from "../../src/services/orders/service.ts";
import { orderProjection } from "../../src/services/orders/state/order-projection.ts";
import { Violation } from "../reference/violation.ts";
import { originOf } from "./letters.ts";
import { Prefixes } from "./prefixes.ts";
import { DEAD_LETTERS } from "./topic-names.ts";
import type { Instance, Running, World } from "./world.ts";

interface Seen {
  nextOffset: number;
  whileFailing: number;
  /** Whether the actor has answered from its rows. */
  hasAnswered: boolean;
  readonly since_ms: number;
  /** Up to where some instance had answered when this one became the owner; undefined while it is none. */
  owed: number | undefined;
  /** Since when it has been a standby; undefined for an owner. */
  standbySince_ms: number | undefined;
}

/**
 * Watches what order services apply, and when. Nothing is applied to a partition that the group took from its process;
 * what was applied before may still be saved, as it is a prefix of the log in a store of the process's own. And while
 * its store fails, a partition finishes what it had begun to apply and begins nothing else. What an instance has once
 * answered from is not taken back, by a restart either, unless the log has lost it; then it does not answer again. Nor is
 * it taken back by the next owner. A standby applies no dead letter that is not in its topic yet, and appends none
 * itself.
 */
export class Applications {
  violation: Violation | undefined;
  readonly #seen = new WeakMap<PartitionActor, Seen>();
  /** By instance and partition, up to where rows were answered. */
  readonly #answered = new Map<string, number>();
  /** By instance and partition, up to where its disk tells what was applied, and since when. */
  readonly #marked = new Map<string, { readonly offset: number; readonly at_ms: number }>();
  /** By partition, up to where any instance has answered. */
  readonly #answeredByAny = new Map<number, number>();
  readonly #prefixes: Prefixes;

  constructor(private readonly world: World) {
    this.#prefixes = new Prefixes(world);
  }

  /** Must be called after each event of the process. */
  look(running: Running, { name, failingCalls }: Instance): void {
    const { orders, log, owner } = running;
    if (orders === undefined) return;
    const { partitions } = orders;
    for (let partition = this.world.partitionCount - 1; partition >= 0; partition--) {
      const actor = partitions.actors.get(partition);
      if (actor?.hasStore !== true) continue;
      const { nextOffset } = actor;
      const at_ms = this.world.scheduler.now_ms;
      const seen = this.#seen.get(actor) ?? newlySeen(nextOffset, at_ms);
      this.#seen.set(actor, seen);
      const place = `${name}'s partition ${partition}`;
      const isStandby = actor.duty === "standby";
      seen.standbySince_ms = isStandby ? (seen.standbySince_ms ?? at_ms) : undefined;
      if (isStandby) [seen.hasAnswered, seen.owed] = [false, undefined];
      else this.#lookAtAnswers(place, orders, actor, seen);
      if (actor.state !== "suspended") seen.whileFailing = 0;
      if (seen.nextOffset === nextOffset) continue;
      const what = `${owner.name} applies ${seen.nextOffset} to ${nextOffset} of partition ${partition}`;
      if (isStandby) this.#lookAtLetters(what, partition, seen.nextOffset, nextOffset);
      else if (!log.isOwnerByGroup(partition)) this.#note("no-zombie-applies", `${what}, which the group took from it`);
      if (actor.state === "suspended" && ++seen.whileFailing > 1) this.#note("bounded-memory", `${what}, whose store fails`);
      seen.nextOffset = nextOffset;
      if (failingCalls === undefined) this.#marked.set(place, { offset: nextOffset, at_ms });
      else this.#marked.delete(place);
    }
  }

  /** Only the owner appends a partition's dead letters; one that has just become a standby may have sent some before. */
  lookAtAppend(running: Running | undefined, topic: string, records: readonly NewRecord[]): void {
    if (topic !== DEAD_LETTERS || running?.orders === undefined) return;
    for (const record of records) {
      const partition = Number(record.headers.find(([name]) => name === DEAD_LETTER_HEADERS.partition)?.[1]);
      const actor = running.orders.partitions.actors.get(partition);
      const since_ms = actor && this.#seen.get(actor)?.standbySince_ms;
      if (since_ms !== undefined && this.world.scheduler.now_ms - since_ms > SENT_MS_MAX)
        this.#note("owners-append-letters", `${running.owner.name} appends one as partition ${partition}'s standby`);
    }
  }

  #lookAtLetters(what: string, partition: number, from: number, to: number): void {
    const { world } = this;
    if (to > world.losses.firstLostOffset(partition)) return;
    const dead = this.#prefixes.dead(partition, to).filter((offset) => offset >= from);
    if (dead.length === 0) return;
    const letters = [...world.broker.topics.topic(DEAD_LETTERS).flatMap(({ entries }) => entries), ...world.deletedLetters];
    const there = new Set(letters.map(originOf));
    const missing = dead.filter((offset) => !there.has(`${partition}:${offset}`));
    if (missing.length > 0) this.#note("letters-come-first", `${what}, whose dead letters ${missing.join()} are in no topic`);
  }

  forgetAnswers(instance: string): void {
    for (const places of [this.#answered, this.#marked])
      for (const place of places.keys()) if (place.startsWith(`${instance}'s `)) places.delete(place);
  }

  #lookAtAnswers(place: string, orders: OrderService, actor: PartitionActor, seen: Seen): void {
    const { partition, nextOffset } = actor;
    const byAny = this.#answeredByAny.get(partition) ?? 0;
    seen.owed ??= byAny;
    const before = this.#answered.get(place) ?? 0;
    if (!seen.hasAnswered) {
      if (!isAnswered(orders, actor)) return;
      seen.hasAnswered = true;
      // What the log does not give from the start cannot be known, and what it has lost is not owed.
      const isOwed = actor.hindered === undefined && this.world.losses.firstLostOffset(partition) >= seen.owed;
      if (isOwed && nextOffset < seen.owed)
        this.#note(
          "answers-go-on",
          `${place} answers from ${nextOffset}, and the owner before it had answered from ${seen.owed}`,
        );
      this.#lookAtFirstAnswer(place, actor, seen, before);
    }
    this.#answeredByAny.set(partition, Math.max(byAny, nextOffset));
    const isLost = this.world.losses.firstLostOffset(partition) < before;
    if (nextOffset < before && !isLost)
      this.#note("answers-go-on", `${place} answers from ${nextOffset}, and had answered from ${before}`);
    this.#answered.set(place, nextOffset);
  }

  /** `before` is up to where an earlier actor has answered. */
  #lookAtFirstAnswer(place: string, { partition }: PartitionActor, { since_ms }: Seen, before: number): void {
    const marked = this.#marked.get(place);
    if (marked === undefined) return;
    const lost = this.world.losses.firstLostBetween(partition, marked.at_ms, since_ms);
    if (lost < Math.min(before, marked.offset))
      this.#note(
        "answers-go-on",
        `${place} answers although the log has lost offset ${lost}, and it had answered from ${before}`,
      );
  }

  #note(invariant: string, detail: string): void {
    this.violation ??= new Violation(invariant, detail);
  }
}

const newlySeen = (nextOffset: number, since_ms: number): Seen => ({
  nextOffset,
  whileFailing: 0,
  hasAnswered: false,
  since_ms,
  owed: undefined,
  standbySince_ms: undefined,
});

/** How long a request is under way at most; a process that is stopped sends it when it goes on. */
const SENT_MS_MAX = 2_000;

/** Whether an order of the partition is answered now. */
function isAnswered({ partitions }: OrderService, actor: PartitionActor): boolean {
  try {
    const view = actor.view(orderProjection);
    const orderId = view?.orderIdsAfter("", FIRST_ORDERS).find((id) => view.order(id) !== undefined);
    if (orderId === undefined) return false;
    findOrder(partitions, () => actor.partition, orderId);
    return true;
  } catch {
    return false;
  }
}

/** Among these, one has been created in nearly every run. */
const FIRST_ORDERS = 3;
