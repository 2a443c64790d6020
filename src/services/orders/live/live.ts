import type { Clock } from "../../../system/clock.ts";
import { AppError } from "../../../errors.ts";
import { readiness } from "../../../http/health.ts";
import { Permits } from "../../../http/permits.ts";
import type { DeadLetterTally } from "../dead-letters/dead-letter-tally.ts";
import type { LiveAbout, LiveFigures, PartitionFigures } from "./live-figures.ts";
import type { LiveSampler } from "./live-sampler.ts";
import { countsOf, totalOf } from "../query/queries.ts";
import type { HeldPartitions } from "../../../runtime/held-partitions.ts";

const TICK_MS = 1_000;
/** How many pages may be open at the same time. */
export const LIVE_CLIENTS_MAX = 100;
/** How many messages may wait for a client. A client that takes no more is dropped, and reconnects by itself. */
const CLIENT_MESSAGES_MAX = 8;
/** How soon a browser reconnects; sent in the event stream's own field. */
const RETRY_MS = 2_000;

export interface LiveOptions {
  readonly partitions: HeldPartitions;
  readonly sampler: LiveSampler;
  readonly tally: DeadLetterTally;
  readonly about: LiveAbout;
  readonly clock: Clock;
}

interface Client {
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
  /** Gives the client's permit back. */
  readonly release: () => void;
}

/**
 * Live figures as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html), with one ticker
 * for all clients. The figures are put together and encoded once a second, and only while somebody listens; what the
 * history needs is always sampled.
 *
 * ```
 *  made ──start()──▶ sampling ──close()──▶ closed: no client is let in any more
 *  a client: GET /live ──about, history, figures──▶ listening ──it leaves, takes nothing, or close()──▶ gone
 * ```
 */
export class Live {
  readonly #clients = new Set<Client>();
  readonly #permits = new Permits(LIVE_CLIENTS_MAX, "pages with live figures");
  readonly #ending = new AbortController();

  constructor(private readonly options: LiveOptions) {}

  start(): void {
    void this.#run();
  }

  /** Ends all streams, so that a server that is stopping need not wait for them. */
  close(): void {
    this.#ending.abort();
    for (const client of this.#clients) this.#end(client);
  }

  /** Opens the event stream of the client with this address. Throws OVERLOADED or SHUTTING_DOWN. */
  connect(address: string): ReadableStream<Uint8Array> {
    if (this.#ending.signal.aborted) throw new AppError("SHUTTING_DOWN", "The service is stopping; ask another instance.");
    const { about, sampler } = this.options;
    const first = [message("about", about), message("history", sampler.history()), message("figures", this.#figures())];
    const release = this.#permits.acquire(address);
    let client: Client;
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          client = { controller, release };
          controller.enqueue(Buffer.from(`retry: ${RETRY_MS}\n\n${first.join("")}`));
          this.#clients.add(client);
        },
        cancel: () => this.#forget(client),
      },
      { highWaterMark: CLIENT_MESSAGES_MAX },
    );
  }

  async #run(): Promise<void> {
    const { clock, sampler, tally, partitions } = this.options;
    for (;;) {
      await clock.sleep(TICK_MS, this.#ending.signal);
      if (this.#ending.signal.aborted) return;
      sampler.sample(partitions);
      if (this.#clients.size === 0) continue;
      void tally.read();
      const bytes = Buffer.from(message("figures", this.#figures()));
      for (const client of this.#clients) {
        if ((client.controller.desiredSize ?? 0) > 0) client.controller.enqueue(bytes);
        else this.#end(client, new Error("the client takes nothing"));
      }
    }
  }

  #forget(client: Client): void {
    this.#clients.delete(client);
    client.release();
  }

  #end(client: Client, why?: Error): void {
    this.#forget(client);
    try {
      // An error also ends the connection, and drops what has not been sent.
      if (why) client.controller.error(why);
      else client.controller.close();
    } catch {
      // The client has already gone.
    }
  }

  #figures(): LiveFigures {
    const { partitions, sampler, tally, about, clock } = this.options;
    const { status, reason, standstill, restore, warnings } = readiness(partitions);
    const { applied, appended_per_s, applied_per_s, lag, readable } = sampler.rates;
    const list: PartitionFigures[] = [];
    for (const held of partitions.held()) {
      const { partition, state, nextOffset, endOffset, halted, hindered } = held;
      const stays = halted ?? hindered;
      list.push({
        partition,
        state,
        offset: nextOffset,
        end: endOffset,
        lag: Math.max(0, endOffset - nextOffset),
        applied_per_s: Math.round(applied.get(partition) ?? 0),
        ...countsOf(held),
        deadLetters: tally.ofPartition(partition),
        ...(stays === undefined ? {} : { reason: stays }),
      });
    }
    const since_ms = partitions.readFailingSince_ms;
    const why = reason ?? standstill;
    return {
      at_ms: clock.wall_ms(),
      status,
      ...(why === undefined ? {} : { reason: why }),
      ...(since_ms === undefined ? {} : { since_ms }),
      ...(warnings === undefined ? {} : { warnings }),
      topicName: about.topicName,
      partitionCount: partitions.partitionCount,
      partitions: list,
      ...(restore === undefined ? {} : { restore }),
      appended_per_s: Math.round(appended_per_s),
      applied_per_s: Math.round(applied_per_s),
      lag,
      ...totalOf(partitions),
      ...(readable === undefined ? {} : { readable }),
      deadLetters: tally.counts,
    };
  }
}

const message = (name: string, data: unknown): string => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
