import type { Fleet } from "../../../fleet/fleet.ts";
import type { Peer } from "../../../fleet/members.ts";
import { goodJson } from "../../../fleet/peer-problem.ts";
import type { PeerAnswer } from "../../../fleet/peer-transport.ts";
import type { Clock } from "../../../system/clock.ts";
import type { MemberFigures, MemberHistory, ShownMember } from "./live-figures.ts";
import type { ToldHistory } from "./merged-history.ts";

export const FIGURES_PATH = "/fleet/figures";
/** Each member is asked so often at most, however many pages are open. */
const ASK_WAIT_MS = 1_000;
/** A member that has not told its figures by then is shown without them. */
const ANSWER_MS_MAX = 1_000;
/** Figures that are older are not told as those of now. */
const FIGURES_MS_MAX = 3_000;
/** A history that is no older serves one more page: the plots draw over a gap of that length. */
const HISTORY_MS_MAX = 3_000;

const GATHER_LOOK_MS = 20;

export interface TellingMember {
  readonly url: string;
  readonly figures: MemberFigures;
}

/** What the other members are known to say now. */
export interface OtherFigures {
  readonly telling: readonly TellingMember[];
  /** Those that have not told their figures lately. */
  readonly silent: readonly ShownMember[];
}

/** What one member answers another. */
export interface ToldFigures {
  readonly figures: MemberFigures;
  readonly history?: MemberHistory;
}

/** What is known of a peer. */
interface Heard {
  askedAt_ms: number;
  asking: Promise<void> | undefined;
  figures?: { readonly told: MemberFigures; readonly at_ms: number } | undefined;
  history?: ToldHistory | undefined;
  isHistoryWanted: boolean;
  failure?: string | undefined;
}

/**
 * The other members' figures as they last told them. Nobody waits for a member that does not answer: what is shown is
 * what has been heard, and who has not been heard is named.
 *
 * ```
 *  a peer: unknown ──ask()──▶ being asked ──▶ telling, or silent ──ask(), a second later at the earliest──▶ being asked …
 * ```
 */
export class FleetFigures {
  readonly #heard = new Map<string, Heard>();

  constructor(
    private readonly fleet: Fleet,
    private readonly clock: Clock,
  ) {}

  /** Asks each peer of which that is due. Called once a second while somebody looks. */
  ask(): void {
    const { peers } = this.fleet.members;
    const urls = new Set(peers.map(({ url }) => url));
    for (const url of this.#heard.keys()) if (!urls.has(url)) this.#heard.delete(url);
    for (const peer of peers) this.#askIfDue(peer);
  }

  /**
   * Asks for the histories, too, and resolves once each peer has answered or failed, after `wait_ms_max` at the latest;
   * at once if there are no peers, or all is known. One that was asked within this second is asked after it.
   */
  async gather(wait_ms_max: number): Promise<void> {
    const until_ms = this.clock.now_ms() + wait_ms_max;
    for (const { url } of this.fleet.members.peers) {
      const heard = this.#heardOf(url);
      const told_ms = heard.history?.at_ms ?? Number.NEGATIVE_INFINITY;
      heard.isHistoryWanted ||= this.clock.now_ms() - told_ms > HISTORY_MS_MAX;
    }
    for (;;) {
      this.ask();
      const waiting = [...this.#heard.values()].filter(({ asking, isHistoryWanted }) => asking !== undefined || isHistoryWanted);
      if (waiting.length === 0 || this.clock.now_ms() >= until_ms) return;
      await this.clock.sleep(GATHER_LOOK_MS);
    }
  }

  get others(): OtherFigures {
    const { all, self } = this.fleet.members;
    const telling: TellingMember[] = [];
    const silent: ShownMember[] = [];
    for (const { id, endpoint: url, partitions, standbys } of all) {
      if (id === self) continue;
      const heard = url === undefined ? undefined : this.#heard.get(url);
      const figures = heard?.figures;
      if (url !== undefined && figures !== undefined && this.clock.now_ms() - figures.at_ms <= FIGURES_MS_MAX)
        telling.push({ url, figures: figures.told });
      else
        silent.push({
          ...(url === undefined ? {} : { url }),
          status: "unreachable",
          reason: whyNot(url, heard),
          partitions,
          standbys,
        });
    }
    return { telling, silent };
  }

  get histories(): readonly ToldHistory[] {
    const now_ms = this.clock.now_ms();
    return [...this.#heard.values()].flatMap(({ history }) =>
      history !== undefined && now_ms - history.at_ms <= HISTORY_MS_MAX ? [history] : [],
    );
  }

  #heardOf(url: string): Heard {
    let heard = this.#heard.get(url);
    if (!heard) {
      heard = { askedAt_ms: Number.NEGATIVE_INFINITY, asking: undefined, isHistoryWanted: false };
      this.#heard.set(url, heard);
    }
    return heard;
  }

  #askIfDue(peer: Peer): void {
    const heard = this.#heardOf(peer.url);
    const now_ms = this.clock.now_ms();
    if (heard.asking !== undefined || now_ms - heard.askedAt_ms < ASK_WAIT_MS) return;
    heard.askedAt_ms = now_ms;
    heard.asking = this.#askPeer(peer, heard).finally(() => (heard.asking = undefined));
  }

  async #askPeer(peer: Peer, heard: Heard): Promise<void> {
    const { isHistoryWanted } = heard;
    heard.isHistoryWanted = false;
    const path = isHistoryWanted ? `${FIGURES_PATH}?history=true` : FIGURES_PATH;
    const answer = await this.fleet.send(peer, { path }, ANSWER_MS_MAX);
    if ("failure" in answer) {
      heard.failure = answer.detail;
      heard.figures = undefined;
      return;
    }
    try {
      const { figures, history } = told(answer);
      const at_ms = this.clock.now_ms();
      heard.failure = undefined;
      heard.figures = { told: figures, at_ms };
      if (history) heard.history = { history, at_ms, ahead_ms: history.told_ms - this.clock.wall_ms() };
    } catch (e) {
      heard.failure = `${peer.url} does not tell its figures: ${(e as Error).message}`;
      heard.figures = undefined;
    }
  }
}

const whyNot = (url: string | undefined, heard: Heard | undefined): string => {
  if (url === undefined) return "It does not say where it can be asked.";
  return heard?.failure ?? `${url} has not told its figures yet.`;
};

function told(answer: PeerAnswer): ToldFigures {
  const body = goodJson(answer) as ToldFigures;
  if (!Array.isArray(body.figures?.partitions) || !Array.isArray(body.figures.standbys))
    throw new Error("it has no list of partitions");
  return body;
}
