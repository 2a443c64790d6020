import { partitionFor } from "../../src/log/partitioner.ts";
import { findOrder, waitForPosition } from "../../src/services/orders/query/queries.ts";
import { asViolation, Violation } from "../reference/violation.ts";
import { pick } from "../support/random.ts";
import { ask } from "./ask.ts";
import { OF_LETTERS, ofPartition, ofTransaction } from "./troubles.ts";
import { type Running, type World } from "./world.ts";

/**
 * Within this time after a trouble, or after a record's arrival, all that is not concerned must be as it should be.
 */
const AFTER_MS = 1_500;

/** Clients who ask order services, and what must hold for an answer at once. */
export class QueryClients {
  violation: Violation | undefined;
  /** How many clients still wait for an answer. */
  open = 0;

  /** `isCalm` says that nothing happens to processes, so that any refusal without a reason is wrong. */
  constructor(
    private readonly world: World,
    private readonly isCalm: boolean,
  ) {}

  /** Asks any order service for the order, at any time. */
  async look(orderId: string): Promise<void> {
    const { creates, troubles, scheduler } = this.world;
    const running = this.#anyService();
    if (!running) return;
    const [age_ms, from_ms] = [creates.age_ms(orderId), scheduler.now_ms - AFTER_MS];
    const told = await this.#askFor(running, orderId);
    const partition = creates.partitionOf(orderId);
    const isHeld = partition !== undefined && running.orders?.partitions.get(partition) !== undefined;
    if (!this.isCalm || partition === undefined || age_ms < AFTER_MS) return;
    if (told === "ORDER_NOT_FOUND" && !troubles.since(ofTransaction(partition), from_ms))
      this.#noteViolation("no-false-404", `404 for ${orderId}, which the log has had for ${age_ms} ms`);
    if (isHeld && told !== "found" && !this.#isTroubled(partition, from_ms))
      this.#noteViolation("partitions-are-apart", `${told} for ${orderId} in partition ${partition}, where nothing is wrong`);
  }

  /** Checks that in each process, what is wrong with one partition holds up no other one, not even at the start. */
  requireRunning(): void {
    const from_ms = this.world.scheduler.now_ms - AFTER_MS;
    for (const { cart, orders, owner } of [...this.world.running("cart"), ...this.world.running("order-service")]) {
      for (const { partition, state } of (cart ?? orders)?.partitions.held() ?? [])
        if (state !== "running" && !this.#isTroubled(partition, from_ms))
          this.#noteViolation(
            "partitions-are-apart",
            `${owner.name}'s partition ${partition}, where nothing is wrong, is ${state}`,
          );
    }
  }

  #isTroubled(partition: number, from_ms: number): boolean {
    const { troubles } = this.world;
    const isLetters = troubles.poisoned.has(partition) && troubles.since(OF_LETTERS, from_ms);
    return isLetters || troubles.since(ofPartition(partition), from_ms);
  }

  /** Once nothing moves any more, asks all order services: none may show an order that the log has lost. */
  async lookForLost(orderId: string): Promise<void> {
    for (const running of this.world.running("order-service")) {
      const told = await this.#askFor(running, orderId);
      if (told === "found" && this.world.creates.partitionOf(orderId) === undefined)
        this.#noteViolation("no-ghosts", `${running.owner.name} has ${orderId}, of which the log has no create`);
    }
  }

  /**
   * Checks that what was answered 200 can be read back at its position, unless the answer says that it cannot be read
   * yet.
   */
  async readBack(name: string, orderId: string, position: { partition: number; offset: number }): Promise<void> {
    const running = this.#anyService();
    if (!running) return;
    const answer = await ask(this.world, running, async ({ orders }) => {
      if (!orders) throw new Error("not an order service");
      await waitForPosition(orders.partitions, position, 1_000);
      return findOrder(orders.partitions, (id, count) => partitionFor("murmur2", id, count), orderId);
    });
    if (answer === "ORDER_NOT_FOUND" && !this.world.losses.orders.has(orderId) && !this.#isUnheard(running, position))
      this.#noteViolation("read-your-writes", `${name}: ${orderId} is not found at ${position.partition}:${position.offset}`);
  }

  /**
   * Whether the log has put another record where it lost one and has not told the process anything since: a read of it
   * hangs.
   */
  #isUnheard({ owned }: Running, { partition, offset }: { partition: number; offset: number }): boolean {
    const { losses } = this.world;
    return offset >= losses.firstLostOffset(partition) && owned.heardSince_ms < losses.lastAt_ms(partition);
  }

  async #askFor(running: Running, orderId: string): Promise<string> {
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

  #noteViolation(invariant: string, detail: string): void {
    this.violation ??= new Violation(invariant, detail);
  }

  #anyService(): Running | undefined {
    const running = this.world.running("order-service");
    return running.length === 0 ? undefined : pick(this.world.random, running);
  }
}
