import type { GroupMember } from "../log/membership.ts";
import type { Clock } from "../system/clock.ts";
import type { Members } from "./members.ts";
import { TOKENS_DIFFER } from "./peer-guard.ts";

/** What may be wrong between members, by stable codes. */
const CODES = ["url-shared", "peer-tokens-differ"] as const;

/**
 * For how many sessions a URL must be shared before that is a concern. A process that is started again without its state
 * is a new member, and has the URL of its former one until the group gives that up: after its session, which begins anew
 * when another member joins.
 */
export const SHARED_SESSIONS_MIN = 2;

/** For how long a refusal counts if the two have nothing to ask each other meanwhile. */
export const REFUSAL_MS_MAX = 300_000;

export interface FleetConcern {
  readonly topic: string;
  readonly code: (typeof CODES)[number];
  /** Sentences that say what is wrong, what follows from it and what to do. */
  readonly detail: string;
  /** Since when that is so, in ISO 8601, if it is known. */
  readonly since?: string;
}

interface Refusal {
  readonly since_ms: number;
  /** When it was last so, on the process's clock. */
  last_ms: number;
}

/**
 * What a person should know about the fleet, as this member sees it. It changes nothing of what is answered.
 *
 * ```
 *  a peer: fine ──it refuses this one's token, or this one refuses its──▶ a concern
 *            ▲─── a hop between the two is let in, it leaves the group, or REFUSAL_MS_MAX without another refusal ──┘
 *  a URL:  one member's ──two say it, for SHARED_SESSIONS_MIN──▶ a concern ──one of them leaves, or says another──▶ one's
 * ```
 */
export class FleetConcerns {
  /** By URL, since that is what was asked. */
  readonly #refusing = new Map<string, Refusal>();
  /** By the id of the member that asked. */
  readonly #refused = new Map<string, Refusal>();
  /** When the group first named each member with its URL, on the process's clock. */
  readonly #seen_ms = new Map<string, number>();

  constructor(
    private readonly topic: string,
    private readonly members: Members,
    private readonly clock: Clock,
    private readonly session_timeout_ms: number,
  ) {}

  /** Notes that the peer there let a hop of this member in, or refused its token. */
  asked(url: string, isRefused: boolean): void {
    this.#note(this.#refusing, url, isRefused);
  }

  /**
   * Notes that a hop was let in that says it is from this member, or that its token was refused. Of someone who is no
   * member nothing is kept.
   */
  askedBy(id: string, isRefused: boolean): void {
    if (this.members.all.some((member) => member.id === id)) this.#note(this.#refused, id, isRefused);
  }

  get all(): readonly FleetConcern[] {
    return [...this.sharedUrls, ...this.#refusals()];
  }

  /** Every possible concern, and whether there is one. */
  get findings(): readonly { readonly code: string; readonly isFound: boolean }[] {
    const found = new Set(this.all.map(({ code }) => code));
    return CODES.map((code) => ({ code, isFound: found.has(code) }));
  }

  #note(refusals: Map<string, Refusal>, key: string, isRefused: boolean): void {
    const last_ms = this.clock.now_ms();
    const known = refusals.get(key);
    if (!isRefused) refusals.delete(key);
    else if (known && last_ms - known.last_ms < REFUSAL_MS_MAX) known.last_ms = last_ms;
    else refusals.set(key, { since_ms: this.clock.wall_ms(), last_ms });
  }

  /** Each member sees it in the assignment, also those whose URLs are their own: what they ask there reaches one of two. */
  get sharedUrls(): readonly FleetConcern[] {
    const { all, self } = this.members;
    const now_ms = this.clock.now_ms();
    const byUrl = Map.groupBy(all, ({ endpoint }) => endpoint);
    return [...byUrl].flatMap(([url, members]): FleetConcern[] => {
      if (url === undefined || members.length < 2) return [];
      // It has been shared since the second of them came.
      const [, lasted_ms = 0] = members
        .map((one) => now_ms - (this.#seen_ms.get(named(one)) ?? now_ms))
        .toSorted((a, b) => b - a);
      if (lasted_ms < SHARED_SESSIONS_MIN * this.session_timeout_ms) return [];
      const who = members.map(({ id }) => (id === self ? "this one" : id)).join(", ");
      const detail = `${members.length} members say that they are reached at ${url}: ${who}. What one of them holds cannot be asked for there. Set ADVERTISED_URL for each, to an address that the others reach.`;
      return [this.#concern("url-shared", detail, this.clock.wall_ms() - lasted_ms)];
    });
  }

  *#refusals(): Iterable<FleetConcern> {
    const { all, self } = this.members;
    const oldest_ms = this.clock.now_ms() - REFUSAL_MS_MAX;
    for (const { id, endpoint } of all) {
      if (id === self) continue;
      const name = endpoint === undefined ? `member ${id}` : `member at ${endpoint}`;
      const refusing = endpoint === undefined ? undefined : this.#refusing.get(endpoint);
      if (refusing !== undefined && refusing.last_ms > oldest_ms)
        yield this.#concern(
          "peer-tokens-differ",
          `The ${name} refuses this member's token, so what it holds is not answered here. ${TOKENS_DIFFER}`,
          refusing.since_ms,
        );
      const refused = this.#refused.get(id);
      if (refused !== undefined && refused.last_ms > oldest_ms)
        yield this.#concern(
          "peer-tokens-differ",
          `This member refuses the token of the ${name}, so what is held here is not answered there. ${TOKENS_DIFFER}`,
          refused.since_ms,
        );
    }
  }

  #concern(code: FleetConcern["code"], detail: string, since_ms?: number): FleetConcern {
    return { topic: this.topic, code, detail, ...(since_ms === undefined ? {} : { since: new Date(since_ms).toISOString() }) };
  }

  /** Takes who is a member now, and forgets those who are none any more. */
  keep(members: readonly GroupMember[]): void {
    const names = new Set(members.map(named));
    for (const name of this.#seen_ms.keys()) if (!names.has(name)) this.#seen_ms.delete(name);
    for (const name of names) if (!this.#seen_ms.has(name)) this.#seen_ms.set(name, this.clock.now_ms());
    const ids = new Set(members.map(({ id }) => id));
    const urls = new Set(members.map(({ endpoint }) => endpoint));
    for (const id of this.#refused.keys()) if (!ids.has(id)) this.#refused.delete(id);
    for (const url of this.#refusing.keys()) if (!urls.has(url)) this.#refusing.delete(url);
  }
}

const named = ({ id, endpoint }: GroupMember): string => `${id} ${endpoint}`;
