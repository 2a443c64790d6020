import type { Clock } from "../../../system/clock.ts";
import { AppError } from "../../../errors.ts";
import type { Fleet } from "../../../fleet/fleet.ts";
import { Permits } from "../../../http/permits.ts";
import type { DeadLetterTally } from "../dead-letters/dead-letter-tally.ts";
import { FleetFigures, type ToldFigures } from "./fleet-figures.ts";
import type { LiveAbout, LiveFigures } from "./live-figures.ts";
import { mergedFigures } from "./merged-figures.ts";
import { mergedHistory } from "./merged-history.ts";
import { ownFigures, type OwnFiguresOptions } from "./own-figures.ts";

const TICK_MS = 1_000;
/** How many pages may be open at the same time. */
export const LIVE_CLIENTS_MAX = 100;
/** How many messages may wait for a client. A client that takes no more is dropped, and reconnects by itself. */
const CLIENT_MESSAGES_MAX = 8;
/** How soon a browser reconnects; sent in the event stream's own field. */
const RETRY_MS = 2_000;

/** How long a page waits for the other members' first figures. The hops end before. */
const GATHER_MS_MAX = 2_500;

export interface LiveOptions extends OwnFiguresOptions {
  readonly fleet: Fleet;
  readonly tally: DeadLetterTally;
  readonly about: LiveAbout;
  readonly clock: Clock;
}

interface Client {
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
  /** Gives the client's permit back. */
  readonly release: () => void;
  /** Whether it has the history. */
  isListening: boolean;
}

/**
 * Live figures as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html), with one ticker
 * for all clients. The figures are put together and encoded once a second, and only while somebody listens; the other
 * members are asked then, too. What the history needs is always sampled.
 *
 * ```
 *  made ──start()──▶ sampling ──close()──▶ closed: no client is let in any more
 *  a client: GET /live ──about──▶ the others are asked ──history, figures──▶ listening ──it leaves, takes nothing, or close()──▶ gone
 * ```
 */
export class Live {
  readonly #clients = new Set<Client>();
  readonly #permits = new Permits(LIVE_CLIENTS_MAX, "pages with live figures");
  readonly #ending = new AbortController();
  readonly #fleetFigures: FleetFigures;

  constructor(private readonly options: LiveOptions) {
    this.#fleetFigures = new FleetFigures(options.fleet, options.clock);
  }

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
    const release = this.#permits.acquire(address);
    let client: Client;
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          client = { controller, release, isListening: false };
          controller.enqueue(Buffer.from(`retry: ${RETRY_MS}\n\n${message("about", this.options.about)}`));
          this.#clients.add(client);
          void this.#showFirst(client);
        },
        cancel: () => this.#forget(client),
      },
      { highWaterMark: CLIENT_MESSAGES_MAX },
    );
  }

  /** What this member tells of its own. */
  own(isHistoryWanted: boolean): ToldFigures {
    return { figures: ownFigures(this.options), ...(isHistoryWanted ? { history: this.options.sampler.history() } : {}) };
  }

  /** A client gets the history first: its figures go on from there. */
  async #showFirst(client: Client): Promise<void> {
    const { sampler, fleet } = this.options;
    if (fleet.members.peers.length > 0) await this.#fleetFigures.gather(GATHER_MS_MAX);
    if (!this.#clients.has(client)) return;
    const history = mergedHistory(sampler.history(), this.#fleetFigures.histories);
    client.controller.enqueue(Buffer.from(`${message("history", history)}${message("figures", this.#figures())}`));
    client.isListening = true;
  }

  async #run(): Promise<void> {
    const { clock, sampler, tally, partitions } = this.options;
    for (;;) {
      await clock.sleep(TICK_MS, this.#ending.signal);
      if (this.#ending.signal.aborted) return;
      sampler.sample(partitions);
      if (this.#clients.size === 0) continue;
      void tally.read();
      this.#fleetFigures.ask();
      const bytes = Buffer.from(message("figures", this.#figures()));
      for (const client of this.#clients) {
        if (!client.isListening) continue;
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
    const { fleet, tally, about, clock } = this.options;
    const { all, self } = fleet.members;
    return mergedFigures({
      ...this.#fleetFigures.others,
      at_ms: clock.wall_ms(),
      topicName: about.topicName,
      own: ownFigures(this.options),
      ownUrl: all.find(({ id }) => id === self)?.endpoint,
      ownerUrl: (partition) => all.find(({ partitions }) => partitions.includes(partition))?.endpoint,
      deadLetters: tally.counts,
      deadLettersOf: (partition) => tally.ofPartition(partition),
    });
  }
}

const message = (name: string, data: unknown): string => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
