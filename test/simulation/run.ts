import { AppError } from "../../src/errors.ts";
import type { RequestContext } from "../../src/cart/commands.ts";
import { partitionFor } from "../../src/log/partitioner.ts";
import { findOrder, waitForPosition } from "../../src/order-service/queries.ts";
import { audit, type Claim } from "./audit.ts";
import { auditRefused } from "./audit-refused.ts";
import { auditStores } from "./audit-stores.ts";
import { makePlan, type Plan, type Step } from "./plan.ts";
import { seededRandom } from "./scheduler.ts";
import { Violation } from "./violation.ts";
import { CommitCrash, DEAD_LETTERS, type Instance, leaderKey, pick, type Running, TOPIC, watchCommits, World } from "./world.ts";

export interface RunResult {
  readonly violation: Violation | undefined;
  readonly steps: number;
  readonly virtual_ms: number;
  /** Equal for equal runs, to the byte of every record in the log. */
  readonly fingerprint: string;
}

/** Keeps the plan's randomness apart from the run's, so that a shortened plan meets the same world. */
const PLAN_SALT = 0x5bd1e995;

export const planOf = (seed: number): Plan => makePlan(seededRandom(seed ^ PLAN_SALT));

const REST_MS_MAX = 90_000;
/** What was sent before the last fault ended has landed by then, or never will. */
const LANDED_MS = 3_000;
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
]);

export function simulate(seed: number, plan: Plan, trace: (line: string) => void = () => undefined): RunResult {
  const world = new World({ seed, partitions: plan.partitions, carts: plan.carts, orderServices: plan.orderServices, trace });
  const run = new Run(world);
  let violation: Violation | undefined;
  try {
    run.play(plan.steps);
  } catch (e) {
    violation = e instanceof Violation ? e : new Violation("no-crash", e instanceof Error ? (e.stack ?? e.message) : String(e));
  }
  for (const instance of world.instances) {
    world.kill(instance);
    instance.disk.lose();
  }
  const { steps, elapsed_ms } = world.scheduler;
  return { violation, steps, virtual_ms: elapsed_ms, fingerprint: run.fingerprint() };
}

class Run {
  readonly #claims: Claim[] = [];
  /** By their traceparent: requests whose answer promises that they are not in the log. */
  readonly #refused = new Map<string, string>();
  #violation: Violation | undefined;
  #open = 0;
  #operations = 0;
  #requests = 0;
  #foreign = 0;
  /** Whether older states of the disks are needed; to keep them takes a tenth of a run. */
  #isTorn = false;
  #killAtCommit: (Extract<Step, { do: "kill-at-commit" }> & { left: number }) | undefined;

  constructor(private readonly world: World) {}

  play(steps: readonly Step[]): void {
    const { world } = this;
    using _ = watchCommits((side, partition) => this.#onCommit(side, partition));
    this.#isTorn = steps.some((step) => step.do === "kill" && step.disk === "torn");
    for (const instance of world.instances) world.start(instance);
    const start_ms = world.scheduler.now_ms;
    for (const step of steps) {
      this.#runUntil(start_ms + step.at_ms);
      this.#take(step);
    }
    this.#runUntil(world.scheduler.now_ms + REST_MS_MAX, () => this.#open === 0);
    if (this.#open > 0) throw new Violation("bounded-waits", `${this.#open} clients still wait for an answer`);
    this.#comeToRest();
    audit(world, this.#claims);
    auditRefused(world, this.#refused);
    auditStores(world);
  }

  fingerprint(): string {
    const hasher = new Bun.CryptoHasher("sha256");
    for (const topic of [TOPIC, DEAD_LETTERS])
      for (const { entries } of this.world.broker.topics.topic(topic))
        for (const entry of entries) hasher.update(entry?.value ?? "-");
    return hasher.update(`${this.world.scheduler.steps} ${this.world.scheduler.now_ms}`).digest("hex").slice(0, 16);
  }

  #runUntil(until_ms: number, isOver: () => boolean = () => false): void {
    this.world.scheduler.run(until_ms, () => this.#violation !== undefined || isOver());
    if (this.#violation) throw this.#violation;
  }

  #take(step: Step): void {
    const { world } = this;
    if (step.do !== "create" && step.do !== "update") world.trace(JSON.stringify(step));
    switch (step.do) {
      case "create":
      case "update":
        void this.#client(step, `op${++this.#operations}`);
        break;
      case "foreign-update":
        for (let n = 0; n < step.count; n++) this.#foreignUpdate(step.order, step.status);
        break;
      case "poison":
        this.#appendForeign(`ORD-${step.order}`, `POISON ${++this.#foreign}`);
        break;
      case "replay":
        this.#replay(step.share, step.count);
        break;
      case "kill":
        this.#killFor(this.#victim(step.victim), step.for_ms, step.disk);
        break;
      case "kill-at-commit":
        this.#killAtCommit = { ...step, left: step.after };
        break;
      case "kill-at-event":
        this.#killAtEvent(this.#victim(step.victim), step.after, step.for_ms);
        break;
      case "disk-full": {
        const instance = this.#victim(step.victim);
        instance.isDiskFull = true;
        this.#later(step.for_ms, () => (instance.isDiskFull = false));
        break;
      }
      case "set-clock":
        this.#victim(step.victim).wallClock.offset_ms += step.by_ms;
        break;
      case "move-leader":
        this.#moveLeader(step);
        break;
      case "reuse-key":
        void this.#reuseKey(step, `reuse${++this.#operations}`);
        break;
      case "stop":
        this.#stopFor(this.#victim(step.victim), step.for_ms);
        break;
      case "away": {
        const { name } = this.#victim(step.victim);
        world.weather.awayInstances.add(name);
        this.#later(step.for_ms, () => world.weather.awayInstances.delete(name));
        break;
      }
      case "broker-away":
        for (const { name } of world.instances) world.weather.awayInstances.add(name);
        this.#later(step.for_ms, () => world.weather.awayInstances.clear());
        break;
      case "bad-appends":
        world.weather.appendFaultChance = step.chance;
        this.#later(step.for_ms, () => (world.weather.appendFaultChance = 0));
        break;
      case "bad-fetches":
        world.weather.fetchFaultChance = step.chance;
        this.#later(step.for_ms, () => (world.weather.fetchFaultChance = 0));
        break;
      case "add-partitions":
        world.broker.topics.growTo(TOPIC, world.broker.topics.topic(TOPIC).length + step.count);
        break;
    }
  }

  #victim(share: number): Instance {
    return this.world.instances[Math.floor(share * this.world.instances.length)] as Instance;
  }

  #later(ms: number, run: () => void): void {
    this.world.scheduler.at(this.world.scheduler.now_ms + ms, this.world.outside, run);
  }

  #killFor(instance: Instance, for_ms: number, disk: "kept" | "torn" | "lost"): void {
    if (!instance.running) return;
    this.world.kill(instance);
    if (disk === "torn") instance.disk.tear();
    if (disk === "lost") instance.disk.lose();
    this.#later(for_ms, () => this.world.start(instance));
  }

  #killAtEvent(instance: Instance, after: number, for_ms: number): void {
    const owner = instance.running?.owner;
    if (!owner) return;
    let left = after;
    owner.afterEvent = () => {
      if (left-- === 0) this.#killFor(instance, for_ms, "kept");
    };
  }

  #moveLeader({ topic, share, lag_records, for_ms }: Extract<Step, { do: "move-leader" }>): void {
    const { topics } = this.world.broker;
    const { leaders } = this.world.weather;
    const name = topic === "orders" ? TOPIC : DEAD_LETTERS;
    const key = leaderKey(name, Math.floor(share * topics.topic(name).length));
    leaders.set(key, "none");
    this.#later(for_ms, () => {
      if (leaders.has(key)) leaders.set(key, lag_records);
      topics.notify();
    });
    this.#later(2 * for_ms, () => {
      leaders.delete(key);
      topics.notify();
    });
  }

  #stopFor(instance: Instance, for_ms: number): void {
    const owner = instance.running?.owner;
    if (!owner || owner.isStopped) return;
    owner.stop();
    this.#later(for_ms, () => owner.resume());
  }

  #onCommit(side: "before" | "after", partition: number): "disk-full" | undefined {
    const due = this.#killAtCommit;
    const instance = this.world.current;
    if (this.world.random() < 0.05 && this.#isTorn) for (const { disk } of this.world.instances) disk.remember();
    if (!instance?.running) return undefined;
    if (side === "before" && instance.role === "order-service" && !instance.running.log.isOwnerByGroup(partition))
      this.#violation ??= new Violation(
        "no-zombie-commit",
        `${instance.name} commits partition ${partition}, which the group took from it`,
      );
    if (side === "before" && instance.isDiskFull) return "disk-full";
    if (!due || due.side !== side || due.left-- > 0) return undefined;
    this.#killAtCommit = undefined;
    this.#killFor(instance, due.for_ms, "kept");
    throw new CommitCrash(`killed ${side} a commit`);
  }

  #partitionOf(orderId: string): number {
    const partitions = this.world.broker.topics.topic(TOPIC);
    for (const [partition, { entries }] of partitions.entries())
      if (entries.some((entry) => String(entry?.key) === orderId && String(entry?.value).includes('"ORDER_CREATED"')))
        return partition;
    return partitionFor("murmur2", orderId, partitions.length);
  }

  #foreignUpdate(order: number, status: string): void {
    const id = `foreign-${++this.#foreign}`;
    const orderId = `ORD-${order}`;
    const event = {
      event_id: id,
      event_type: "ORDER_STATUS_UPDATED",
      timestamp: "2026-01-01T00:00:00",
      order_id: orderId,
      status,
    };
    this.#appendForeign(orderId, JSON.stringify(event));
  }

  #appendForeign(key: string, value: string): void {
    if (this.world.broker.topics.topic(TOPIC).length === 0) return;
    this.world.append(TOPIC, [{ partition: this.#partitionOf(key), key, value, headers: [], timestamp_ms: 0 }]);
  }

  #replay(share: number, count: number): void {
    const partitions = this.world.broker.topics.topic(TOPIC);
    const partition = Math.floor(share * partitions.length);
    const entries = partitions[partition]?.entries ?? [];
    const from = Math.floor(((share * 97) % 1) * entries.length);
    const again = entries.slice(from, from + count).flatMap((entry) => (entry ? [entry] : []));
    for (const record of again) this.world.append(TOPIC, [{ ...record, partition, headers: record.headers() }]);
  }

  /** A key once answered 200 under another request: whatever else is wrong, that one is not taken. */
  async #reuseKey({ order, status, share }: Extract<Step, { do: "reuse-key" }>, name: string): Promise<void> {
    const used = this.#claims.filter(({ step, answer }) => step.keyed && typeof answer !== "string");
    const key = used[Math.floor(share * used.length)]?.name;
    if (key === undefined) return;
    this.#open++;
    const step = { at_ms: 0, do: "update", order, status, keyed: true } as const;
    const answer = await this.#askCart(step, `ORD-${order}`, name, { idempotency: { key, fingerprint: name } });
    this.world.trace(`${name} of the key of ${key}: ${JSON.stringify(answer)}`);
    if (typeof answer !== "string" || (answer !== "IDEMPOTENCY_KEY_REUSED" && !RETRIED.has(answer)))
      this.#violation ??= new Violation("a-key-is-one-request", `${name} under the key of ${key}: ${JSON.stringify(answer)}`);
    this.#open--;
  }

  /** One request of one client, with its retries, and then perhaps a look at what became of it. */
  async #client(step: Extract<Step, { do: "create" | "update" }>, name: string): Promise<void> {
    const { world } = this;
    const orderId = `ORD-${step.order}`;
    const context: RequestContext = step.keyed ? { idempotency: { key: name, fingerprint: name } } : {};
    this.#open++;
    try {
      for (let attempt = 1; attempt <= (step.keyed ? ATTEMPTS_MAX : 1); attempt++) {
        const knownBefore = this.#isCreated(orderId);
        const answer = await this.#askCart(step, orderId, name, context);
        world.trace(
          `${name} ${step.do} ${orderId}${step.keyed ? " keyed" : ""}: ${typeof answer === "string" ? answer : `200 ${answer.partition}:${answer.offset}`}`,
        );
        if (answer === "ORDER_NOT_FOUND" && knownBefore)
          throw new Violation("no-false-404", `${name}: 404 for ${orderId}, which was created before the request`);
        if (typeof answer === "string" && RETRIED.has(answer)) {
          this.#claims.push({ name, step, orderId, answer: "unknown" });
          await world.outside.sleep(RETRY_MS);
          continue;
        }
        this.#claims.push({ name, step, orderId, answer });
        if (typeof answer !== "string" && world.random() < 0.5) await this.#readBack(name, orderId, answer);
        return;
      }
    } catch (e) {
      this.#violation ??=
        e instanceof Violation ? e : new Violation("no-crash", e instanceof Error ? (e.stack ?? e.message) : String(e));
    } finally {
      this.#open--;
    }
  }

  #isCreated(orderId: string): boolean {
    return this.world.broker.topics
      .topic(TOPIC)
      .some(({ entries }) =>
        entries.some((entry) => String(entry?.key) === orderId && String(entry?.value).includes('"ORDER_CREATED"')),
      );
  }

  async #askCart(step: Extract<Step, { do: "create" | "update" }>, orderId: string, name: string, context: RequestContext) {
    const running = this.world.running("cart");
    if (running.length === 0) return "no-answer";
    const request = ++this.#requests;
    const traceparent = `00-${request.toString(16).padStart(32, "0")}-00000000000000aa-00`;
    // No two orders alike, so that one that is taken for another shows.
    const items = [{ itemId: `I${request % 7}`, quantity: 1 + (request % 3), price_hundredths: 95 + request }];
    const answer = await this.#ask(pick(this.world.random, running), ({ cart }) => {
      if (!cart) throw new Error("not a cart");
      return step.do === "create"
        ? cart.commands.create({ orderId, cart: { customerId: name, currency: "USD", items } }, { ...context, traceparent })
        : cart.commands.updateStatus({ orderId, status: step.status }, { ...context, traceparent });
    });
    if (typeof answer === "string" && NOT_APPENDED.has(answer)) this.#refused.set(traceparent, `${name} ${orderId}: ${answer}`);
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

  /** All faults end, everybody runs; then everything must be applied within a bounded time. */
  #comeToRest(): void {
    const { world } = this;
    this.#killAtCommit = undefined;
    world.weather.clear();
    for (const instance of world.instances) {
      instance.isDiskFull = false;
      const owner = instance.running?.owner;
      if (owner) owner.afterEvent = undefined;
      owner?.resume();
      world.start(instance);
    }
    const ends = () => world.broker.topics.topic(TOPIC).map(({ entries }) => entries.length);
    const isApplied = () => {
      const applied = new Map<number, number>();
      for (const { orders } of world.running("order-service"))
        for (const { partition, nextOffset, state } of orders?.partitions.held() ?? [])
          if (state === "running") applied.set(partition, nextOffset);
      return ends().every((end, partition) => applied.get(partition) === end) && ends().length > 0;
    };
    this.#runUntil(world.scheduler.now_ms + LANDED_MS);
    this.#runUntil(world.scheduler.now_ms + REST_MS_MAX, isApplied);
    if (!isApplied()) {
      const held = world.running("order-service").map(({ orders, owner }) => {
        const partitions = [...(orders?.partitions.held() ?? [])].map(
          ({ partition, state, nextOffset, halted }) => `${partition} ${state} at ${nextOffset} ${halted ?? ""}`,
        );
        return `${owner.name} (${orders?.partitions.membership}): ${partitions.join(", ")}`;
      });
      throw new Violation("comes-to-rest", `${REST_MS_MAX} ms after the last fault: ends ${ends().join()}; ${held.join("; ")}`);
    }
  }
}
