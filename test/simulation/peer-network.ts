import { NotSent, type PeerAnswer, type PeerRequest, type PeerTransport } from "../../src/fleet/peer-transport.ts";
import { INDEX_QUESTION_PATH } from "../../src/services/cart/sharing/index-question.ts";
import { Violation } from "../reference/violation.ts";
import type { Running, World } from "./world.ts";

const LATENCY_MS_MAX = 8;

/** Where the others reach an instance. */
export const endpointOf = (instance: string): string => `http://${instance}`;

/**
 * What instances ask each other passes through here. It takes its time; where two of them are cut off it is lost,
 * on the way there or back; and whoever is down refuses it. It watches that nobody passes on what it was asked as a hop.
 */
export class PeerNetwork {
  violation: Violation | undefined;
  readonly #cuts = new Map<string, number>();

  constructor(private readonly world: World) {}

  /** Cuts the way from one instance to another for a while, and leaves the way back. */
  cut(from: string, to: string, for_ms: number): void {
    const way = `${from}>${to}`;
    this.#cuts.set(way, (this.#cuts.get(way) ?? 0) + 1);
    this.world.later(for_ms, () => this.#cuts.set(way, (this.#cuts.get(way) ?? 1) - 1));
  }

  mend(): void {
    this.#cuts.clear();
  }

  /** How the process of an instance asks the others. */
  transportOf(from: string, asker: () => Running): PeerTransport {
    return (request) => {
      const { owner, requests } = asker();
      const to = new URL(request.url).hostname;
      // Whoever carries out another cart's command may have to ask where the order is.
      if (requests === 0 && !new URL(request.url).pathname.startsWith(INDEX_QUESTION_PATH))
        this.violation ??= new Violation(
          "a-hop-is-not-passed-on",
          `${from} asks ${to}, and no client asks ${from}: ${request.url}`,
        );
      return owner.receive(this.#exchange(from, to, request));
    };
  }

  async #exchange(from: string, to: string, { url, method, headers, body }: PeerRequest): Promise<PeerAnswer> {
    const { scheduler } = this.world;
    await this.#travel(from, to);
    const running = this.world.instance(to)?.running;
    if (running?.app === undefined) {
      await this.#travel(to, from);
      throw new NotSent("connection refused");
    }
    const { app, owner } = running;
    const answer = await new Promise<PeerAnswer>((resolve, reject) => {
      const answered = async (): Promise<PeerAnswer> => {
        const response = await app().handle(new Request(url, { method, headers, ...(body !== undefined && { body }) }));
        return { status: response.status, headers: response.headers, text: await response.text() };
      };
      scheduler.at(scheduler.now_ms, owner, () => void answered().then(resolve, reject));
    });
    await this.#travel(to, from);
    return answer;
  }

  /** Never resolves if the way is cut. */
  #travel(from: string, to: string): Promise<void> {
    const { world } = this;
    return new Promise((resolve) => {
      world.later(Math.floor(world.random() * LATENCY_MS_MAX), () => {
        if ((this.#cuts.get(`${from}>${to}`) ?? 0) <= 0) resolve();
      });
    });
  }
}
