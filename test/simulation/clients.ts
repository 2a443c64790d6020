import type { RequestContext } from "../../src/cart/commands.ts";
import { AppError } from "../../src/errors.ts";
import { partitionFor } from "../../src/log/partitioner.ts";
import { findOrder, waitForPosition } from "../../src/order-service/queries.ts";
import type { Claim } from "../reference/claims.ts";
import { asViolation, Violation } from "../reference/violation.ts";
import type { RequestStep, ReuseKeyStep } from "./plan.ts";
import { pick, type Running, type World } from "./world.ts";

const ANSWER_MS_MAX = 3_000;
const ATTEMPTS_MAX = 8;
const RETRY_MS = 250;
/** Codes after which a careful client tries again with the same key. */
const RETRIED = new Set([
  "no-answer",
  "LOG_UNAVAILABLE",
  "APPEND_OUTCOME_UNKNOWN",
  "CATCHING_UP",
  "PARTITION_HALTED",
  "IDEMPOTENCY_KEY_IN_USE",
  "SHUTTING_DOWN",
  "OVERLOADED",
  "APPEND_REFUSED",
  "PARTITION_BLOCKED",
]);
/** Codes that promise that nothing of the request is in the log, now or later. */
const NOT_APPENDED = new Set([
  "LOG_UNAVAILABLE",
  "CATCHING_UP",
  "PARTITION_HALTED",
  "ORDER_NOT_FOUND",
  "IDEMPOTENCY_KEY_IN_USE",
  "IDEMPOTENCY_KEY_REUSED",
  "SHUTTING_DOWN",
  "OVERLOADED",
  "APPEND_REFUSED",
  "EVENT_TOO_LARGE",
]);
/** Codes of a trouble that an order has no part in unless its own partition has. */
const OF_TROUBLE = new Set(["LOG_UNAVAILABLE", "APPEND_OUTCOME_UNKNOWN", "APPEND_REFUSED", "EVENT_TOO_LARGE", "CATCHING_UP"]);
/** After a trouble, or after the first of what an order service has to read, all is well again within that. */
const AFTER_MS = 3_000;
/** Items of a cart that is too large where a topic's batches shrink, and of any other. */
const LARGE_ITEMS = 60;

/** The clients of a run: what they ask, what they are told, and what must hold of an answer at once. */
export class Clients {
  readonly claims: Claim[] = [];
  /** By their traceparent: requests whose answer promises that they are not in the log. */
  readonly refused = new Map<string, string>();
  violation: Violation | undefined;
  /** How many still wait for an answer. */
  open = 0;
  /** Keys under which a request was answered 200. */
  readonly #keysUsed: string[] = [];
  #operations = 0;
  #requests = 0;

  /** Claims of what was asked when all was over. */
  readonly lastClaims = new Set<Claim>();

  /** `isCalm`: nothing happens to processes, so that whatever is refused without a reason is wrong. */
  constructor(
    private readonly world: World,
    private readonly isCalm: boolean,
  ) {}

  /** Asks every cart for what was lost, once more: nobody may know of it, nor take what is there for new. */
  askLast(): void {
    const known = [...this.world.losses.orders].toSorted().slice(0, LAST_ORDERS_MAX);
    const others = [0, 1, 2].map((order) => `ORD-${order}`);
    for (const orderId of new Set([...known, ...others])) {
      const order = Number(orderId.slice("ORD-".length));
      for (const running of this.world.running("cart")) {
        void this.request({ at_ms: 0, do: "update", order, status: "pending", keyed: false }, running);
        void this.request({ at_ms: 0, do: "create", order, keyed: false }, running);
      }
      for (const running of this.world.running("order-service")) void this.look({ order }, running);
    }
  }

  /** What an order service says of an order. */
  async look({ order }: Pick<LookStep, "order">, running = this.#anyOrderService()): Promise<void> {
    const { creates, troubles, scheduler } = this.world;
    if (!running) return;
    const orderId = `ORD-${order}`;
    const [age_ms, from_ms] = [creates.age_ms(orderId), scheduler.now_ms - AFTER_MS];
    this.open++;
    const answer = await this.#ask(running, async ({ orders }) => {
      if (!orders) throw new Error("not an order service");
      return findOrder(orders.partitions, (id, count) => partitionFor("murmur2", id, count), orderId);
    });
    this.open--;
    const told = typeof answer === "string" ? answer : "found";
    this.world.trace(`look for ${orderId} at ${running.owner.name}: ${told}`);
    const partition = creates.partitionOf(orderId);
    if (told === "found" && partition === undefined && !this.world.losses.isEmpty && scheduler.now_ms - this.#last_ms < ANSWER_MS_MAX)
      this.violation ??= new Violation("no-ghosts", `${running.owner.name} has ${orderId}, of which the log has no create`);
    if (!this.isCalm || partition === undefined || age_ms < AFTER_MS || told === "found") return;
    const isVisible = !troubles.since(ofTransaction(partition), from_ms);
    if (told === "ORDER_NOT_FOUND" && isVisible)
      this.violation ??= new Violation("no-false-404", `404 for ${orderId}, which the log has had for ${age_ms} ms`);
    const isTroubled =
      troubles.since(ofPartition(partition), from_ms) ||
      (troubles.poisoned.has(partition) && troubles.since(OF_LETTERS, from_ms));
    if (told !== "PARTITION_ELSEWHERE" && told !== "ORDER_NOT_FOUND" && !isTroubled)
      this.violation ??= new Violation("partitions-are-apart", `${told} for ${orderId} in partition ${partition}, which is well`);
  }

  #anyOrderService(): Running | undefined {
    const running = this.world.running("order-service");
    return running.length === 0 ? undefined : pick(this.world.random, running);
  }

  /** A key once answered 200 under another request: whatever else is wrong, that one is not taken. */
  async reuseKey({ order, status, share }: ReuseKeyStep): Promise<void> {
    const name = `reuse${++this.#operations}`;
    const key = this.#keysUsed[Math.floor(share * this.#keysUsed.length)];
    if (key === undefined) return;
    this.open++;
    const step = { at_ms: 0, do: "update", order, status, keyed: true } as const;
    const answer = await this.#askCart(step, `ORD-${order}`, name, { idempotency: { key, fingerprint: name } });
    this.world.trace(`${name} of the key of ${key}: ${JSON.stringify(answer)}`);
    if (typeof answer !== "string" || (answer !== "IDEMPOTENCY_KEY_REUSED" && !RETRIED.has(answer)))
      this.violation ??= new Violation("a-key-is-one-request", `${name} under the key of ${key}: ${JSON.stringify(answer)}`);
    this.open--;
  }

  /** One request of one client, with its retries, and then perhaps a look at what became of it. */
  async request(step: RequestStep, cart?: Running): Promise<void> {
    const { world } = this;
    const name = `op${++this.#operations}`;
    const orderId = `ORD-${step.order}`;
    const asked = { name, asked: step.do, orderId, ...(step.do === "update" ? { status: step.status } : {}) };
    const context: RequestContext = step.keyed ? { idempotency: { key: name, fingerprint: name } } : {};
    this.open++;
    try {
      for (let attempt = 1; attempt <= (step.keyed ? ATTEMPTS_MAX : 1); attempt++) {
        const knownBefore = world.creates.partitionOf(orderId) !== undefined;
        const answer = await this.#askCart(step, orderId, name, context, cart);
        world.trace(
          `${name} ${step.do} ${orderId}${step.keyed ? " keyed" : ""}: ${typeof answer === "string" ? answer : `200 ${answer.partition}:${answer.offset}`}`,
        );
        if (answer === "ORDER_NOT_FOUND" && knownBefore)
          throw new Violation("no-false-404", `${name}: 404 for ${orderId}, which was created before the request`);
        if (typeof answer === "string" && RETRIED.has(answer)) {
          this.claims.push({ ...asked, answer: "unknown" });
          await world.outside.sleep(RETRY_MS);
          continue;
        }
        this.claims.push({ ...asked, answer });
        if (step.keyed && typeof answer !== "string") this.#keysUsed.push(name);
        if (typeof answer !== "string" && world.random() < 0.5) await this.#readBack(name, orderId, answer);
        return;
      }
    } catch (e) {
      this.violation ??= asViolation(e);
    } finally {
      this.open--;
    }
  }

  async #askCart(step: RequestStep, orderId: string, name: string, context: RequestContext) {
    const running = this.world.running("cart");
    if (running.length === 0) return "no-answer";
    const request = ++this.#requests;
    // The trace stands in the record's headers: so the auditor knows whose it is.
    const traceparent = `${name}/${request}`;
    // No two orders alike, so that one that is taken for another shows.
    const items = [{ itemId: `I${request % 7}`, quantity: 1 + (request % 3), price_hundredths: 95 + request }];
    const answer = await this.#ask(pick(this.world.random, running), ({ cart }) => {
      if (!cart) throw new Error("not a cart");
      return step.do === "create"
        ? cart.commands.create({ orderId, cart: { customerId: name, currency: "USD", items } }, { ...context, traceparent })
        : cart.commands.updateStatus({ orderId, status: step.status }, { ...context, traceparent });
    });
    if (typeof answer === "string" && NOT_APPENDED.has(answer)) this.refused.set(traceparent, `${name} ${orderId}: ${answer}`);
    return answer;
  }

  /** Asks a process and waits as long as a client does: for its answer, the code of its refusal, or nothing. */
  async #ask<T>(running: Running, request: (running: Running) => Promise<T>): Promise<T | string> {
    const { scheduler, outside } = this.world;
    const asked = new Promise<T>((resolve, reject) => {
      scheduler.at(scheduler.now_ms, running.owner, () => void request(running).then(resolve, reject));
    });
    const answer = outside.receive(asked).catch((e: unknown) => {
      if (e instanceof AppError) return e.code;
      throw e;
    });
    return Promise.race([answer, outside.sleep(ANSWER_MS_MAX).then(() => "no-answer")]);
  }

  /** What was answered 200 can be read back at its position, or the answer says that it cannot yet. */
  async #readBack(name: string, orderId: string, position: { partition: number; offset: number }): Promise<void> {
    const running = this.world.running("order-service");
    if (running.length === 0) return;
    const answer = await this.#ask(pick(this.world.random, running), async ({ orders }) => {
      if (!orders) throw new Error("not an order service");
      await waitForPosition(orders.partitions, position, 1_000);
      return findOrder(orders.partitions, (id, count) => partitionFor("murmur2", id, count), orderId);
    });
    if (answer === "ORDER_NOT_FOUND")
      throw new Violation("read-your-writes", `${name}: ${orderId} is not found at ${position.partition}:${position.offset}`);
  }
}
