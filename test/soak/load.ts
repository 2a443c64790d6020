import type { Message } from "kafkajs";
import type { Log } from "../../src/log/port.ts";
import type { Claim, Position } from "../reference/claims.ts";
import { Violation } from "../reference/violation.ts";
import { DuplicateSource } from "./duplicate-source.ts";
import { ask, type HttpAnswer, show } from "./client.ts";
import type { Fleet } from "./fleet.ts";
import type { ForeignProducer } from "./foreign-producer.ts";
import type { Ledger } from "./ledger.ts";
import { nameOf, POISON_HEADER, SEND_HEADER, traceOf } from "./records.ts";
import { pythonUpdate } from "../support/events/python-events.ts";
import { createBody, poison, STATUSES } from "./payloads.ts";

export interface LoadOptions {
  readonly fleet: Fleet;
  readonly ledger: Ledger;
  readonly foreign: ForeignProducer;
  readonly log: Log;
  readonly topic: string;
  readonly random: () => number;
  readonly rate: number;
}

/** When this many operations are in flight, no new one begins until an older one is over. */
const IN_FLIGHT_MAX = 2_000;
const TICK_MS = 10;
const RETRY_MS_MIN = 150;
const RETRY_MS_MAX = 600;
const READ_BACK_SHARE = 0.3;
const SAME_KEY_AGAIN_SHARE = 0.05;
const RACE_SHARE = 0.1;
const OVERFLOW_SHARE = 0.03;
/** A few more updates than an order can hold. */
const OVERFLOW_UPDATES = 103;
const UNKNOWN_ORDERS_FROM = 1e9;

/** Answers that a client takes as final; after any other it tries again. */
const FINAL = new Set(["ok", "ORDER_EXISTS", "ORDER_NOT_FOUND"]);
const RETRIED = /^(no-answer|no-connection|IDEMPOTENCY_KEY_IN_USE)$/;

/** A 421 is for peers: a client that is sent elsewhere has found a violation. */
const isRetried = ({ status, code }: HttpAnswer): boolean => status === 503 || RETRIED.test(code);

/**
 * Clients that begin operations at a steady rate, whatever becomes of the earlier ones, and ask any cart until they
 * have a final answer.
 */
export class Load {
  readonly #inFlight = new Set<Promise<void>>();
  readonly #acknowledged: string[] = [];
  /** Orders that some client has been told: nobody may be told any more that they are not there. */
  readonly #told = new Set<string>();
  /** Where the creates of the acknowledged ones lie. */
  readonly #createdAt = new Map<string, Position>();
  readonly #duplicates: DuplicateSource;
  readonly #givingUp = new AbortController();
  #orders = 0;
  #plainReads = 0;

  constructor(private readonly options: LoadOptions) {
    this.#duplicates = new DuplicateSource(options.log.reader(options.topic));
  }

  /** Begins operations until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { rate, ledger } = this.options;
    const begun_ms = performance.now();
    ledger.noteAnswer();
    for (let count = 0; !signal.aborted; await Bun.sleep(TICK_MS)) {
      const due = ((performance.now() - begun_ms) / 1_000) * rate;
      for (; count < due; count++) if (this.#inFlight.size < IN_FLIGHT_MAX) this.#begin();
    }
    ledger.noteAnswer();
  }

  /** Waits until all clients have their final answers, for at most `wait_ms_max`. */
  async untilAnswered(wait_ms_max: number): Promise<void> {
    const timer = setTimeout(() => this.#givingUp.abort(), wait_ms_max);
    while (this.#inFlight.size > 0) await Promise.all(this.#inFlight);
    clearTimeout(timer);
    for (const [name, what] of this.options.ledger.open)
      this.options.ledger.addViolation(new Violation("bounded-waits", `${name}: ${what} was never answered for good`));
    await this.#duplicates.close();
  }

  #begin(): void {
    const running = this.#pickOperation()().catch((e: unknown) => {
      this.options.ledger.addViolation(new Violation("soak-works", e instanceof Error ? (e.stack ?? e.message) : String(e)));
    });
    this.#inFlight.add(running);
    void running.finally(() => this.#inFlight.delete(running));
  }

  #pickOperation(): () => Promise<void> {
    const dice = this.options.random();
    if (dice < 0.38) return () => this.#create();
    if (dice < 0.75) return () => this.#update();
    if (dice < 0.83) return () => this.#earlyUpdates();
    if (dice < 0.89) return () => this.#duplicate();
    if (dice < 0.92) return () => this.#updateOfNothing();
    if (dice < 0.95) return () => this.#poison();
    return () => this.#plainRead();
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.options.random() * from.length)] as T;
  }

  async #create(): Promise<void> {
    const { random } = this.options;
    const orderId = this.#newOrder();
    const racers = random() < RACE_SHARE ? 2 + Math.floor(random() * 2) : 1;
    await Promise.all(Array.from({ length: racers }, () => this.#command("create", orderId)));
  }

  async #update(): Promise<void> {
    const recent = this.options.random() < 0.5 ? this.#acknowledged.slice(-500) : this.#acknowledged;
    const orderId = this.#pick(recent);
    if (orderId !== undefined) await this.#command("update", orderId);
  }

  /** Reads an order without a position. It has been told before, so it is there, as of its create or later. */
  async #plainRead(): Promise<void> {
    const told = [...this.#told];
    const orderId = this.#pick(this.options.random() < 0.5 ? told.slice(-500) : told);
    const position = orderId === undefined ? undefined : this.#createdAt.get(orderId);
    if (orderId === undefined || position === undefined) return;
    const { figures } = this.options.ledger;
    if (await this.#read(`plain${++this.#plainReads}`, orderId, position, {})) figures.plainReads++;
  }

  async #updateOfNothing(): Promise<void> {
    await this.#command("update", `ORD-${UNKNOWN_ORDERS_FROM + Math.floor(this.options.random() * 1e9)}`);
  }

  async #earlyUpdates(): Promise<void> {
    const { random } = this.options;
    const orderId = this.#newOrder();
    const count = random() < OVERFLOW_SHARE ? OVERFLOW_UPDATES : 1 + Math.floor(random() * 4);
    const updates = Array.from({ length: count }, () => ({ key: orderId, value: pythonUpdate(orderId, this.#pick(STATUSES)) }));
    await this.#send(updates);
    await Bun.sleep(random() * 500);
    await this.#command("create", orderId);
  }

  async #duplicate(): Promise<void> {
    const message = await this.#duplicates.take(this.options.random);
    if (message && (await this.#send([message]))) this.options.ledger.figures.duplicates++;
  }

  async #poison(): Promise<void> {
    const { random } = this.options;
    const key = this.#pick(this.#acknowledged) ?? "ORD-1";
    const message = poison(key, random);
    await this.#send([{ ...message, headers: { [POISON_HEADER]: "1" } }]);
  }

  async #send(messages: readonly Message[]): Promise<boolean> {
    const { ledger, foreign } = this.options;
    const first = ledger.sends.length;
    const numbered = messages.map((message, i) => ({
      ...message,
      headers: { ...message.headers, [SEND_HEADER]: String(first + i) },
    }));
    for (const _ of numbered) ledger.sends.push(false);
    const taken = await foreign.send(numbered);
    for (const [i, { key }] of messages.entries()) {
      ledger.sends[first + i] = taken;
      ledger.note(`send ${first + i}: foreign event for ${String(key)} ${taken ? "was taken" : "may have been taken"}`);
    }
    return taken;
  }

  #newOrder(): string {
    return `ORD-${++this.#orders}`;
  }

  /**
   * Runs one command with its retries, sometimes once more with the same key, and sometimes reads what became of it.
   */
  async #command(asked: Claim["asked"], orderId: string): Promise<void> {
    const { ledger, random } = this.options;
    const operation = ++ledger.operations;
    const status = this.#pick(STATUSES);
    const body = asked === "create" ? createBody(orderId, operation, random) : { order_id: orderId, status };
    const command = { name: nameOf(operation), asked, orderId, ...(asked === "update" ? { status } : {}) };
    const init = {
      method: asked === "create" ? "POST" : "PUT",
      headers: {
        "content-type": "application/json",
        "idempotency-key": `"soak-${operation}"`,
        traceparent: traceOf(operation),
      },
      body: JSON.stringify(body),
    };
    const position = await this.#askCarts(command, init);
    if (!position) return;
    if (random() < SAME_KEY_AGAIN_SHARE) await this.#askCarts(command, init);
    this.#duplicates.offer(position);
    if (random() >= READ_BACK_SHARE) return;
    const headers = { "log-position": `${position.partition}:${position.offset}` };
    if (await this.#read(command.name, orderId, position, headers)) ledger.figures.readBack++;
  }

  async #askCarts(command: Omit<Claim, "answer">, init: RequestInit): Promise<Position | undefined> {
    const { fleet, ledger } = this.options;
    const { name, asked, orderId } = command;
    const path = asked === "create" ? "/create-order" : "/update-order";
    const begun_ms = performance.now();
    ledger.open.set(name, `${asked} of ${orderId}`);
    while (!this.#givingUp.signal.aborted) {
      const cart = this.#pick(fleet.carts);
      const createdBefore = this.#createdAt.has(orderId);
      const answer = await ask(cart.url + path, init);
      ledger.note(`${name} ${asked} ${orderId} at ${cart.name}: ${show(answer)} (${answer.took_ms.toFixed(0)} ms)`);
      if (FINAL.has(answer.code)) {
        const { position } = answer;
        if (position && asked === "create") this.#acknowledge(orderId, position);
        ledger.settle({ ...command, createdBefore, answer: position ?? answer.code }, performance.now() - begun_ms);
        return position;
      }
      if (answer.code === "no-answer" || answer.code === "APPEND_OUTCOME_UNKNOWN") ledger.figures.unknownOutcomes++;
      if (!isRetried(answer)) this.#unexpected(name, orderId, cart.name, answer);
      await this.#beforeRetry();
    }
    return undefined;
  }

  /**
   * Asks any order service, again and again until one answers with the order, which must be as of the position or
   * later. Resolves with whether one did.
   */
  async #read(name: string, orderId: string, position: Position, headers: Readonly<Record<string, string>>): Promise<boolean> {
    const { fleet, ledger } = this.options;
    ledger.open.set(`${name} read`, `${orderId} read back`);
    while (!this.#givingUp.signal.aborted) {
      const service = this.#pick(fleet.asked);
      const answer = await ask(`${service.url}/order-details?orderId=${orderId}`, { headers });
      if (answer.code === "ok") {
        ledger.reads.push({ name, orderId, position, body: answer.body });
        ledger.open.delete(`${name} read`);
        this.#told.add(orderId);
        return true;
      }
      ledger.note(`${name} reads ${orderId} at ${service.name}: ${show(answer)} (${answer.took_ms.toFixed(0)} ms)`);
      if (answer.code === "ORDER_NOT_FOUND") {
        const detail = `${name}: ${service.name} has no ${orderId} at ${position.partition}:${position.offset}`;
        ledger.addViolation(new Violation("no-false-404", detail, orderId));
      } else if (!isRetried(answer)) this.#unexpected(name, orderId, service.name, answer);
      await this.#beforeRetry();
    }
    return false;
  }

  #acknowledge(orderId: string, position: Position): void {
    if (this.#createdAt.has(orderId)) return;
    this.#createdAt.set(orderId, position);
    this.#acknowledged.push(orderId);
  }

  #unexpected(name: string, orderId: string, member: string, { status, code, body }: HttpAnswer): void {
    const detail = `${name}: ${member} answered ${status} ${code}: ${body.slice(0, 500)}`;
    this.options.ledger.addViolation(new Violation("expected-answers", detail, orderId));
  }

  #beforeRetry(): Promise<void> {
    return Bun.sleep(RETRY_MS_MIN + this.options.random() * (RETRY_MS_MAX - RETRY_MS_MIN));
  }
}
