import { partitionFor } from "../../src/log/partitioner.ts";
import { findOrder, waitForPosition } from "../../src/services/orders/query/queries.ts";
import { asViolation, Violation } from "../reference/violation.ts";
import { pick } from "../support/random.ts";
import { ask } from "./ask.ts";
import { OF_LETTERS, ofPartition, ofTransaction } from "./troubles.ts";
import { type Running, type World } from "./world.ts";

/** After a trouble, and after a record came, all that is not concerned is as it should be within that. */
const AFTER_MS = 1_500;

/** Clients who ask an order service, and what must hold of an answer at once. */
export class Looks {
  violation: Violation | undefined;
  /** How many still wait for an answer. */
  open = 0;

  /** `isCalm`: nothing happens to processes, so that whatever is refused without a reason is wrong. */
  constructor(
    private readonly world: World,
    private readonly isCalm: boolean,
  ) {}

  /** At any of them, at any time. */
  async look(orderId: string): Promise<void> {
    const { creates, troubles, scheduler } = this.world;
    const running = this.#any();
    if (!running) return;
    const [age_ms, from_ms] = [creates.age_ms(orderId), scheduler.now_ms - AFTER_MS];
    const told = await this.#told(running, orderId);
    const partition = creates.partitionOf(orderId);
    const isHeld = partition !== undefined && running.orders?.partitions.get(partition) !== undefined;
    if (!this.isCalm || partition === undefined || age_ms < AFTER_MS) return;
    if (told === "ORDER_NOT_FOUND" && !troubles.since(ofTransaction(partition), from_ms))
      this.#violated("no-false-404", `404 for ${orderId}, which the log has had for ${age_ms} ms`);
    if (isHeld && told !== "found" && !this.#isTroubled(partition, from_ms))
      this.#violated("partitions-are-apart", `${told} for ${orderId} in partition ${partition}, where nothing is wrong`);
  }

  /** Of each process: what is wrong with one partition holds up no other one, not even at the start. */
  requireRunning(): void {
    const from_ms = this.world.scheduler.now_ms - AFTER_MS;
    for (const { cart, orders, owner } of [...this.world.running("cart"), ...this.world.running("order-service")]) {
      for (const { partition, state } of (cart ?? orders)?.partitions.held() ?? [])
        if (state !== "running" && !this.#isTroubled(partition, from_ms))
          this.#violated("partitions-are-apart", `${owner.name}'s partition ${partition}, where nothing is wrong, is ${state}`);
    }
  }

  #isTroubled(partition: number, from_ms: number): boolean {
    const { troubles } = this.world;
    const isLetters = troubles.poisoned.has(partition) && troubles.since(OF_LETTERS, from_ms);
    return isLetters || troubles.since(ofPartition(partition), from_ms);
  }

  /** At all of them, once nothing moves any more: nobody tells of an order that the log has lost. */
  async lookForLost(orderId: string): Promise<void> {
    for (const running of this.world.running("order-service")) {
      const told = await this.#told(running, orderId);
      if (told === "found" && this.world.creates.partitionOf(orderId) === undefined)
        this.#violated("no-ghosts", `${running.owner.name} has ${orderId}, of which the log has no create`);
    }
  }

  /** What was answered 200 can be read back at its position, or the answer says that it cannot yet. */
  async readBack(name: string, orderId: string, position: { partition: number; offset: number }): Promise<void> {
    const running = this.#any();
    if (!running) return;
    const answer = await ask(this.world, running, async ({ orders }) => {
      if (!orders) throw new Error("not an order service");
      await waitForPosition(orders.partitions, position, 1_000);
      return findOrder(orders.partitions, (id, count) => partitionFor("murmur2", id, count), orderId);
    });
    if (answer === "ORDER_NOT_FOUND" && !this.world.losses.orders.has(orderId) && !this.#isUnheard(running, position))
      this.#violated("read-your-writes", `${name}: ${orderId} is not found at ${position.partition}:${position.offset}`);
  }

  /** The log has put another record where it lost one, and has told the process nothing since: a read of it hangs. */
  #isUnheard({ owned }: Running, { partition, offset }: { partition: number; offset: number }): boolean {
    const { losses } = this.world;
    return offset >= losses.from(partition) && owned.heardSince_ms < losses.lastAt_ms(partition);
  }

  async #told(running: Running, orderId: string): Promise<string> {
    this.open++;
    try {
      const answer = await ask(this.world, running, async ({ orders }) => {
        if (!orders) throw new Error("not an order service");
        return findOrder(orders.partitions, (id, count) => partitionFor("murmur2", id, count), orderId);
      });
      const told = typeof answer === "string" ? answer : "found";
      this.world.trace(`look for ${orderId} at ${running.owner.name}: ${told}`);
      return told;
    } catch (e) {
      this.violation ??= asViolation(e);
      return "no-answer";
    } finally {
      this.open--;
    }
  }

  #violated(invariant: string, detail: string): void {
    this.violation ??= new Violation(invariant, detail);
  }

  #any(): Running | undefined {
    const running = this.world.running("order-service");
    return running.length === 0 ? undefined : pick(this.world.random, running);
  }
}
