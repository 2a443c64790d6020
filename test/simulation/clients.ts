import type { LogPosition } from "../../src/log/log-position.ts";
import type { RequestContext } from "../../src/services/cart/commands/commands.ts";
import { parseCreateOrder } from "../../src/services/cart/endpoints/create-order.ts";
import { partitionFor } from "../../src/log/partitioner.ts";
import type { Claim } from "../reference/claims.ts";
import { asViolation, Violation } from "../reference/violation.ts";
import { pick } from "../support/random.ts";
import { ask } from "./ask.ts";
import { QueryClients } from "./query-clients.ts";
import type { RequestStep, ReuseKeyStep } from "./plan.ts";
import { OF_APPENDS, OF_SIZE, ofPartition } from "./troubles.ts";
import { TOPIC } from "./topic-names.ts";
import type { Running, World } from "./world.ts";

const ATTEMPTS_MAX = 8;
const RETRY_MS = 250;
/** Some clients read again what they created, after a while: whatever was not saved may be gone from memory by then. */
const READ_AGAIN_MS_MAX = 4_000;
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
  "OWNER_UNREACHABLE",
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
  "PARTITION_BLOCKED",
  "OWNER_UNREACHABLE",
  "EVENT_TOO_LARGE",
  "INVALID_FIELD",
]);
/** Codes that report a trouble. An order whose own partition is not in trouble must not get one of them. */
const OF_TROUBLE = new Set(["LOG_UNAVAILABLE", "APPEND_OUTCOME_UNKNOWN", "APPEND_REFUSED", "EVENT_TOO_LARGE", "CATCHING_UP"]);
/** By then, the after-effects of a trouble are over. */
const TROUBLE_ENDS_MS = 1_000;
/** Enough items to make the event larger than what a topic's batches shrink to. */
const LARGE_ITEMS = 60;
/** How many lost orders are asked for once more. */
const LAST_ORDERS_MAX = 4;

/** The clients of a run: what they ask, what they are told, and what must hold for an answer at once. */
export class Clients {
  readonly claims: Claim[] = [];
  /** Requests whose answer promises that they are not in the log, by their traceparent. */
  readonly refused = new Map<string, string>();
  violation: Violation | undefined;
  /** How many clients still wait for an answer. */
  open = 0;
  /** Keys under which a request was answered 200, with the position of its event. */
  readonly #keysUsed: (LogPosition & { readonly key: string })[] = [];
  #operations = 0;
  #requests = 0;

  /** The claims from requests that were made when all faults were over. */
  readonly lastClaims = new Set<Claim>();
  readonly queries: QueryClients;
  #isLast = false;

  /** `isCalm` says that nothing happens to processes, so that any refusal without a reason is wrong. */
  constructor(
    private readonly world: World,
    private readonly isCalm: boolean,
  ) {
    this.queries = new QueryClients(world, isCalm);
  }

  /** Once nothing moves any more, asks each cart for orders that the log has lost and for some that it may have. */
  askLast(): void {
    this.#isLast = true;
    const lost = [...this.world.losses.orders].toSorted().slice(0, LAST_ORDERS_MAX);
    for (const orderId of new Set([...lost, "ORD-0", "ORD-1"])) {
      const order = Number(orderId.slice("ORD-".length));
      for (const cart of this.world.running("cart")) {
        void this.request({ at_ms: 0, do: "update", order, status: "pending", keyed: false }, cart);
        void this.request({ at_ms: 0, do: "create", order, keyed: false }, cart);
      }
      void this.queries.lookForLost(orderId);
    }
  }

  /**
   * Sends another request under a key that was answered 200: a cart that has read the key's event must refuse it,
   * whatever else is wrong.
   */
  async reuseKey({ order, status, share }: ReuseKeyStep): Promise<void> {
    const name = `reuse${++this.#operations}`;
    const used = this.#keysUsed[Math.floor(share * this.#keysUsed.length)];
    const running = this.#anyCart();
    if (used === undefined || running === undefined) return;
    const { key, partition, offset } = used;
    const hasRead = (running.cart?.partitions.get(partition)?.nextOffset ?? 0) > offset;
    this.open++;
    const step = { at_ms: 0, do: "update", order, status, keyed: true } as const;
    const answer = await this.#askCart(step, `ORD-${order}`, name, { idempotency: { key, fingerprint: name } }, running);
    this.world.trace(`${name} of the key of ${key}: ${JSON.stringify(answer)}`);
    const isTaken = typeof answer !== "string" || (answer !== "IDEMPOTENCY_KEY_REUSED" && !RETRIED.has(answer));
    if (isTaken && hasRead && !this.world.losses.hasLost(key, used))
      this.violation ??= new Violation("a-key-is-one-request", `${name} under the key of ${key}: ${JSON.stringify(answer)}`);
    this.open--;
  }

  /** One request of one client, with its retries, and sometimes a read of what became of it. */
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
        if (answer === "ORDER_NOT_FOUND" && knownBefore && !world.losses.orders.has(orderId))
          throw new Violation("no-false-404", `${name}: 404 for ${orderId}, which was created before the request`);
        if (typeof answer === "string" && RETRIED.has(answer)) {
          this.#claim({ ...asked, answer: "unknown" });
          await world.outside.sleep(RETRY_MS);
          continue;
        }
        const isUnheard = step.do === "create" && world.losses.isRemadeUnheard(world.scheduler.now_ms);
        this.#claim({ ...asked, answer: isUnheard ? "unknown" : answer });
        if (step.keyed && typeof answer !== "string") this.#keysUsed.push({ key: name, ...answer });
        if (typeof answer !== "string" && world.random() < 0.5) await this.queries.readBack(name, orderId, answer);
        if (typeof answer !== "string" && world.random() < 0.3) {
          await world.outside.sleep(world.random() * READ_AGAIN_MS_MAX);
          await this.queries.readBack(name, orderId, answer);
        }
        return;
      }
    } catch (e) {
      this.violation ??= asViolation(e);
    } finally {
      this.open--;
    }
  }

  #claim(claim: Claim): void {
    this.claims.push(claim);
    if (this.#isLast) this.lastClaims.add(claim);
  }

  async #askCart(step: RequestStep, orderId: string, name: string, context: RequestContext, asked?: Running) {
    const running = asked ?? this.#anyCart();
    if (!running) return "no-answer";
    const request = ++this.#requests;
    // The record's headers carry the traceparent, so the audit knows whose record it is.
    const traceparent = `${name}/${request}`;
    const isLarge = step.do === "create" && step.isLarge === true;
    // No two orders are alike, so a mix-up of orders shows.
    const item = { item_id: `I${request % 7}`, quantity: 1 + (request % 3), price: (95 + request) / 100 };
    const items = Array.from({ length: isLarge ? LARGE_ITEMS : 1 }, () => item);
    const customer_id = step.do === "create" && step.oddText !== undefined ? name + step.oddText : name;
    const from_ms = this.world.scheduler.now_ms;
    // Where carts share the index, another one may have to place the create.
    const wasStable = this.world.running("cart").every(({ cart }) => cart?.partitions.membership === "stable");
    const answer = await ask(this.world, running, async ({ cart }) => {
      if (!cart) throw new Error("not a cart");
      return step.do === "create"
        ? cart.commands.create(parseCreateOrder({ order_id: orderId, customer_id, items }), { ...context, traceparent })
        : cart.commands.change(orderId, { type: "ORDER_STATUS_UPDATED", status: step.status }, { ...context, traceparent });
    });
    if (typeof answer !== "string") return answer;
    if (NOT_APPENDED.has(answer)) this.refused.set(traceparent, `${name} ${orderId}: ${answer}`);
    if (this.isCalm && wasStable) this.#checkRefusal(answer, orderId, isLarge, from_ms);
    return answer;
  }

  /**
   * If nothing else is wrong, an order may be refused only for what concerns its own partition or the order itself.
   */
  #checkRefusal(code: string, orderId: string, isLarge: boolean, from_ms: number): void {
    if (!OF_TROUBLE.has(code)) return;
    const { troubles, creates, broker } = this.world;
    const partition = creates.partitionOf(orderId) ?? partitionFor("murmur2", orderId, broker.topics.topic(TOPIC).length);
    const since_ms = from_ms - TROUBLE_ENDS_MS;
    if (troubles.since(ofPartition(partition), since_ms) || troubles.since(OF_APPENDS, since_ms)) return;
    if (code === "EVENT_TOO_LARGE" && isLarge && troubles.since(OF_SIZE, since_ms)) return;
    this.violation ??= new Violation(
      "partitions-are-apart",
      `${code} for ${orderId} in partition ${partition}, where nothing is wrong`,
    );
  }

  #anyCart(): Running | undefined {
    const running = this.world.running("cart");
    return running.length === 0 ? undefined : pick(this.world.random, running);
  }
}
