import { formatLogPosition, type LogPosition } from "../../src/log/log-position.ts";
import { asViolation, Violation } from "../reference/violation.ts";
import { pick } from "../support/random.ts";
import { ask } from "./ask.ts";
import { type ToldOrder, ToldOrders } from "./told-orders.ts";
import { OF_LETTERS, ofPartition } from "./troubles.ts";
import { TOPIC } from "./topic-names.ts";
import type { Running, World } from "./world.ts";

/**
 * Within this time after a trouble, or after a record's arrival, all that is not concerned must be as it should be.
 */
const AFTER_MS = 1_500;

interface EventsTold {
  readonly events: readonly { readonly outcome: string }[];
  readonly next: string | null;
  readonly startOffset: number;
}

/** What a client is told: the answer's JSON and headers, the code of a refusal, or that there was none. */
type Told = { readonly json: unknown; readonly headers: Headers } | { readonly code: string };

/** Clients who ask order services, any of them for anything, and what must hold for an answer at once. */
export class QueryClients {
  violation: Violation | undefined;
  /** How many clients still wait for an answer. */
  open = 0;
  /** Orders that some client was told of. From then on no order service may say that there is none, or leave it out. */
  readonly #found = new Set<string>();
  readonly #toldOrders: ToldOrders;

  /** `isCalm` says that nothing happens to processes, so that any refusal without a reason is wrong. */
  constructor(
    private readonly world: World,
    private readonly isCalm: boolean,
  ) {
    this.#toldOrders = new ToldOrders(world);
  }

  /** Asks any order service for the order, at any time. */
  async look(orderId: string): Promise<void> {
    const { creates, scheduler } = this.world;
    const running = this.#anyService();
    if (!running) return;
    const [age_ms, from_ms] = [creates.age_ms(orderId), scheduler.now_ms - AFTER_MS];
    const knownBefore = creates.partitionOf(orderId) !== undefined;
    const told = await this.#askFor(running, orderId);
    if (told === "ORDER_NOT_FOUND" && knownBefore && !this.world.losses.orders.has(orderId))
      this.#noteViolation("no-false-404", `404 for ${orderId} by ${running.owner.name}, which was created before the request`);
    const partition = creates.partitionOf(orderId);
    if (!this.isCalm || partition === undefined || age_ms < AFTER_MS) return;
    if (told !== "found" && !this.#isTroubled(partition, from_ms))
      this.#noteViolation("partitions-are-apart", `${told} for ${orderId} in partition ${partition}, where nothing is wrong`);
  }

  /** Asks any order service for the ids of all orders: whole, or not at all. */
  async list(): Promise<void> {
    const running = this.#anyService();
    if (!running) return;
    const known = new Set([...this.#found, ...this.world.creates.readable()]);
    const told = await this.#asked(running, `/getAllOrderIdsFromTopic?topicName=${TOPIC}`);
    this.world.trace(`list at ${running.owner.name}: ${"code" in told ? told.code : JSON.stringify(told.json)}`);
    if ("code" in told) return;
    const { orderIds } = told.json as { readonly orderIds: readonly string[] };
    const listed = new Set(orderIds);
    if (orderIds.join() !== [...listed].toSorted().join())
      this.#noteViolation("lists-are-whole", `the list has ids twice or in no order: ${orderIds.join()}`);
    for (const orderId of known)
      if (!listed.has(orderId) && !this.world.losses.orders.has(orderId))
        this.#noteViolation(
          "lists-are-whole",
          `${running.owner.name} leaves out ${orderId}, which was created before the request`,
        );
  }

  /** Asks any order service for the order's events. */
  async lookAtEvents(orderId: string): Promise<void> {
    const running = this.#anyService();
    if (!running) return;
    const wasFound = this.#found.has(orderId);
    const told = await this.#asked(running, `/orders/${orderId}/events?limit=200`);
    this.world.trace(`events of ${orderId} at ${running.owner.name}: ${"code" in told ? told.code : JSON.stringify(told.json)}`);
    if ("code" in told) return this.#noteAnswer(running, orderId, told.code, wasFound);
    const { events, next, startOffset } = told.json as EventsTold;
    const isCreated = events.some(({ outcome }) => outcome === "created");
    // The log may have deleted its first records since.
    if (wasFound && next === null && startOffset === 0 && !isCreated && !this.world.losses.orders.has(orderId))
      this.#noteViolation("events-are-whole", `${running.owner.name} tells no create of ${orderId}, of which a client was told`);
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
  async readBack(name: string, orderId: string, position: LogPosition): Promise<void> {
    const running = this.#anyService();
    if (!running) return;
    // It may hear of the loss between its answer and the look at it here.
    const wasUnheard = this.#isUnheard(position);
    const told = await this.#askFor(running, orderId, position);
    if (told === "ORDER_NOT_FOUND" && !this.world.losses.orders.has(orderId) && !wasUnheard && !this.#isUnheard(position))
      this.#noteViolation(
        "read-your-writes",
        `${name}: ${orderId} is not found at ${position.partition}:${position.offset}, by ${running.owner.name}`,
      );
  }

  /**
   * Whether the log has put another record where it lost one and has not told one of the processes anything since: a
   * read of it hangs.
   */
  #isUnheard({ partition, offset }: LogPosition): boolean {
    const { losses } = this.world;
    if (offset < losses.firstLostOffset(partition)) return false;
    return this.world.running("order-service").some(({ owned }) => owned.heardSince_ms(partition) < losses.lastAt_ms(partition));
  }

  async #askFor(running: Running, orderId: string, position?: LogPosition): Promise<string> {
    const wasFound = this.#found.has(orderId);
    const headers = position === undefined ? {} : { "log-position": formatLogPosition(position) };
    const asked_ms = this.world.scheduler.now_ms;
    this.#toldOrders.noteEnds();
    const told = await this.#asked(running, `/order-details?orderId=${orderId}`, headers);
    const answer = "code" in told ? told.code : "found";
    const age = "code" in told ? null : told.headers.get("age");
    this.world.trace(`look for ${orderId} at ${running.owner.name}: ${answer}${age === null ? "" : `, ${age} s old`}`);
    this.#noteAnswer(running, orderId, answer, wasFound);
    if ("code" in told) return answer;
    if (age !== null && position !== undefined) this.#noteViolation("stale-is-marked", `${orderId} is told at a position by age`);
    const { order } = told.json as Pick<ToldOrder, "order">;
    this.#toldOrders.note(running.owner.name, { order, age, logPosition: told.headers.get("log-position") }, asked_ms);
    if (this.#toldOrders.violation !== undefined) this.violation ??= this.#toldOrders.violation;
    return answer;
  }

  /** What one order service has told, no other one takes back. */
  #noteAnswer({ owner }: Running, orderId: string, answer: string, wasFound: boolean): void {
    const { losses } = this.world;
    if (answer === "found") this.#found.add(orderId);
    if (answer === "ORDER_NOT_FOUND" && wasFound && !losses.orders.has(orderId))
      this.#noteViolation("answers-go-on", `404 for ${orderId} by ${owner.name}, although a client was told of it before`);
  }

  async #asked(running: Running, path: string, headers: Readonly<Record<string, string>> = {}): Promise<Told> {
    this.open++;
    try {
      const answer = await ask(this.world, running, async ({ app }) => {
        if (app === undefined) throw new Error("not an order service");
        const response = await app().handle(new Request(`http://${running.owner.name}${path}`, { headers }));
        return toldBy(response);
      });
      return typeof answer === "string" ? { code: answer } : answer;
    } catch (e) {
      this.violation ??= asViolation(e);
      return { code: "no-answer" };
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

async function toldBy(response: Response): Promise<Told> {
  let text: string;
  try {
    text = await response.text();
  } catch {
    return { code: "broken-off" };
  }
  const json: unknown = JSON.parse(text);
  if (response.status < 300) return { json, headers: response.headers };
  const { code } = json as { readonly code: string };
  return { code };
}
