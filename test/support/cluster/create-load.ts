import type { Program } from "../programs/processes.ts";
import { created, type OrdersTopic } from "./orders-topic.ts";

export interface CreateAnswer {
  readonly orderId: string;
  readonly partition: number;
  readonly asked_ms: number;
  readonly answered_ms: number;
  readonly code: string;
}

const pause_ms = 20;

/** Clients that create one order after the other in each partition, each order once, until the scope is left. */
export class CreateLoad implements AsyncDisposable {
  readonly answers: CreateAnswer[] = [];
  #isOn = true;
  readonly #running: Promise<void>[];

  constructor(program: Pick<Program, "cartUrl">, orders: OrdersTopic, clientsPerPartition = 1) {
    this.#running = Array.from({ length: orders.partitions * clientsPerPartition }, async (_, i) => {
      const partition = i % orders.partitions;
      while (this.#isOn) {
        const orderId = orders.newOrder(partition);
        const asked_ms = performance.now();
        const code = await created(program, orderId).catch(() => "no answer");
        this.answers.push({ orderId, partition, asked_ms, answered_ms: performance.now(), code });
        await Bun.sleep(pause_ms);
      }
    });
  }

  get acknowledged(): CreateAnswer[] {
    return this.answers.filter(({ code }) => code === "200");
  }

  /** How often each answer was given. */
  counts(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { code } of this.answers) counts[code] = (counts[code] ?? 0) + 1;
    return counts;
  }

  /** The time of the partition's first acknowledgement at or after `from_ms`. */
  firstAfter(partition: number, from_ms: number): number | undefined {
    return this.acknowledged.find((answer) => answer.partition === partition && answer.answered_ms >= from_ms)?.answered_ms;
  }

  async end(): Promise<void> {
    this.#isOn = false;
    await Promise.all(this.#running);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }
}
