import { type Clock, within } from "../system/clock.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { HopMeter } from "../telemetry/meters.ts";
import type { HopSpan, RequestSpan } from "../telemetry/tracer.ts";
import { Breaker, type BreakerState } from "./breaker.ts";
import type { FleetConcerns } from "./fleet-concerns.ts";
import type { Peer } from "./members.ts";
import { type PeerGuard, TOKENS_DIFFER } from "./peer-guard.ts";
import { problemOf } from "./peer-problem.ts";
import { NotSent, type PeerAnswer, type PeerRequest, type PeerTransport } from "./peer-transport.ts";
import type { RareWarnings } from "./rare-warnings.ts";
import { RetryBudget } from "./retry-budget.ts";

/** How many hops to one peer may be under way … */
export const HOPS_TO_PEER_MAX = 128;
/** … and in all: as many requests as Bun's fetch has under way by default. Beyond that it would let them wait. */
export const HOPS_MAX = 256;
/** A peer answers this much before the asker stops waiting. */
const ANSWER_MARGIN_MS = 50;
/** Less than this is not worth a retry. */
const RETRY_MS_MIN = 50;

export interface HopRequest {
  readonly method?: "GET" | "POST";
  /** With its query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** The span of the request that it is sent for, if that is traced. */
  readonly span?: RequestSpan | undefined;
}

/** Why a hop has no answer that counts. `detail` is a sentence. */
export interface FailedHop {
  readonly failure: "no-answer" | "breaker-open" | "full" | "refused" | "too-late";
  readonly detail: string;
  /** Whether the peer had been given up before: that it does not answer is no news then. */
  readonly wasGivenUp: boolean;
  /** Whether the peer may have had the request, and may have done what it says. */
  readonly maybeSent: boolean;
}

/** Why an attempt has no answer. */
interface NoAnswer {
  readonly why: string;
  readonly maybeSent: boolean;
  /** Whether nothing came in time, be it that the peer is only slow. */
  readonly isSilent?: boolean;
}

export interface HopsOptions {
  readonly transport: PeerTransport;
  readonly guard: PeerGuard;
  readonly warnings: RareWarnings;
  readonly concerns: FleetConcerns;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meter?: HopMeter | undefined;
}

/** What is kept of a peer. */
interface Line {
  readonly breaker: Breaker;
  open: number;
}

/**
 * Sends requests to peers, within bounds: so many at a time for each peer, so long for each request, none to a peer that
 * has stopped answering, and retries for a small share of them.
 */
export class Hops {
  readonly #lines = new Map<string, Line>();
  #open = 0;
  readonly #budget = new RetryBudget();

  constructor(private readonly options: HopsOptions) {}

  /** Forgets all peers but these. */
  keep(peers: readonly Peer[]): void {
    const urls = new Set(peers.map(({ url }) => url));
    for (const url of this.#lines.keys()) if (!urls.has(url)) this.#lines.delete(url);
  }

  breakerOf({ url }: Peer): BreakerState {
    return this.#lines.get(url)?.breaker.state ?? "closed";
  }

  /** Asks the peer, and waits `wait_ms_max` for its answer. Never rejects. */
  async send(peer: Peer, request: HopRequest, self: string | undefined, wait_ms_max: number): Promise<PeerAnswer | FailedHop> {
    const { clock, meter, warnings, concerns } = this.options;
    const line = this.#lineOf(peer);
    if (line.open >= HOPS_TO_PEER_MAX || this.#open >= HOPS_MAX)
      return this.#failed("full", `${line.open} questions to ${peer.url}, of ${this.#open} in all, are under way already.`);
    if (wait_ms_max <= ANSWER_MARGIN_MS) return this.#failed("too-late", `There was no time left to ask ${peer.url}.`);
    if (!line.breaker.enter()) return this.#failed("breaker-open", `${peer.url} has not answered lately.`, true);
    this.#budget.asked();
    line.open++;
    this.#open++;
    try {
      const sentAt_ms = clock.now_ms();
      const until_ms = sentAt_ms + wait_ms_max;
      let answer = await this.#attempt(peer, request, self, wait_ms_max, 0);
      // A connection that was idle may have been closed by the other end.
      const left_ms = until_ms - clock.now_ms();
      const isSafe = request.method !== "POST" && left_ms >= RETRY_MS_MIN;
      if ("why" in answer && isSafe && this.#budget.take()) {
        meter?.retried();
        answer = await this.#attempt(peer, request, self, left_ms, 1);
      }
      if ("why" in answer) {
        const wasGivenUp = line.breaker.state !== "closed";
        const isGivenUp = answer.isSilent === true ? line.breaker.silent(sentAt_ms) : line.breaker.failed();
        if (isGivenUp) this.#tellGivenUp(peer, answer.why);
        return this.#failed("no-answer", `${peer.url} does not answer: ${answer.why}.`, wasGivenUp, answer.maybeSent);
      }
      if (line.breaker.answered()) this.options.logger.info(`The member at ${peer.url} answers again.`);
      const refusal = answer.status === 401 || answer.status === 403 ? problemOf(answer)?.code : undefined;
      const isRefused = refusal === "PEER_TOKEN_NEEDED" || refusal === "PEER_TOKEN_WRONG";
      concerns.asked(peer.url, isRefused);
      if (isRefused) {
        const detail = `${peer.url} refuses this member's token. ${TOKENS_DIFFER}`;
        warnings.tell(detail);
        return this.#failed("refused", detail);
      }
      meter?.hop("answered");
      return answer;
    } finally {
      line.open--;
      this.#open--;
    }
  }

  /** Resolves with why there is no answer, if there is none. */
  async #attempt(
    { url }: Peer,
    { method = "GET", path, headers, body, span }: HopRequest,
    self: string | undefined,
    wait_ms: number,
    resends: number,
  ): Promise<PeerAnswer | NoAnswer> {
    const { clock, guard, transport } = this.options;
    const own = guard.headers(self, wait_ms - ANSWER_MARGIN_MS);
    if (own === undefined) return { why: "there is no token of the fleet yet", maybeSent: false };
    const hop = span?.hop({ method, url: url + path, resends });
    const request: PeerRequest = { method, url: url + path, headers: { ...headers, ...traceHeaders(hop), ...own }, body };
    const leaving = new AbortController();
    const sent = transport(request, leaving.signal).catch((e: unknown) => ({
      word: wordOf(e),
      why: whyOf(e),
      maybeSent: !(e instanceof NotSent),
    }));
    const answer = await within(clock, wait_ms, sent);
    if (answer !== undefined) {
      if ("status" in answer) {
        hop?.answered(answer.status);
        return answer;
      }
      hop?.failed(answer.word);
      return answer;
    }
    hop?.failed("timeout");
    leaving.abort();
    return { why: `nothing came for ${Math.round(wait_ms)} ms`, maybeSent: true, isSilent: true };
  }

  #tellGivenUp({ url }: Peer, why: string): void {
    this.options.logger.warn(
      `The member at ${url} does not answer (${why}). Until it does, it is spared, and what nobody else answers for is 503 here.`,
    );
  }

  #failed(failure: FailedHop["failure"], detail: string, wasGivenUp = false, maybeSent = false): FailedHop {
    this.options.meter?.hop(failure);
    return { failure, detail, wasGivenUp, maybeSent };
  }

  #lineOf({ url }: Peer): Line {
    let line = this.#lines.get(url);
    if (!line) this.#lines.set(url, (line = { breaker: new Breaker(this.options.clock), open: 0 }));
    return line;
  }
}

const traceHeaders = (hop: HopSpan | undefined): Readonly<Record<string, string>> => {
  if (hop === undefined) return {};
  const { traceparent, tracestate } = hop;
  return tracestate === undefined ? { traceparent } : { traceparent, tracestate };
};

/** A word for what went wrong, of which there are few: `ConnectionRefused` from Bun's fetch, or the error's name. */
const wordOf = (e: unknown): string => {
  if (!(e instanceof Error)) return "_OTHER";
  const code = "code" in e ? e.code : undefined;
  return typeof code === "string" ? code : e.name;
};

const whyOf = (e: unknown): string => (e instanceof Error ? e.message : String(e)).replace(/\.$/, "");
