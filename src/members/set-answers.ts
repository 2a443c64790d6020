import type { MemberHealth, MemberSet, SetReadiness } from "../api/member-set.ts";
import type { PartitionHealth, Readiness } from "../http/health.ts";
import type { Clock } from "../system/clock.ts";
import { mergedMetrics, setMetrics } from "./merged-metrics.ts";
import type { MemberView, ServiceName } from "./messages.ts";

export interface MemberAnswer {
  readonly status: number;
  readonly text: string;
}

/**
 * Asks a member on its own port. Resolves with "silent" if it does not answer in time, and with undefined if it does
 * not listen any more: then it has just ended, and its supervisor starts it again.
 */
export type AskMember = (url: string) => Promise<MemberAnswer | "silent" | undefined>;

/** How long the members' answers are given again: anybody may ask, and each time would ask all members. */
const KEPT_MS = 250;

interface Answered {
  readonly view: MemberView;
  /** Undefined: the member does not listen. */
  readonly answer: MemberAnswer | "silent" | undefined;
}

/** Asks each member on its own port, itself included, and answers for all of them. */
export class SetAnswers implements MemberSet {
  readonly #kept = new Map<string, { readonly asked_ms: number; readonly answers: Promise<readonly Answered[]> }>();

  constructor(
    private readonly service: ServiceName,
    private readonly views: () => readonly MemberView[],
    private readonly ask: AskMember,
    private readonly clock: Clock,
  ) {}

  async readiness(): Promise<SetReadiness> {
    const all = (await this.#answers("/health/ready")).map(({ view, answer }) => ({ view, own: readinessIn(answer) }));
    const isShared = ({ view }: { readonly view: MemberView }) => view.shared.includes(this.service);
    const bad = all.find((one) => isShared(one) && one.own !== undefined && one.own.status !== "ready");
    return {
      ...(bad?.own === undefined ? { status: "ready" } : troubleOf(bad.view, bad.own)),
      partitions: all.flatMap(({ view, own }) =>
        (own?.partitions ?? []).map((one): PartitionHealth & { member: number } => ({ member: view.member, ...one })),
      ),
      members: all.map(({ view, own }) => this.#healthOf(view, own)),
    };
  }

  async standstill(): Promise<string | undefined> {
    for (const { view, answer } of await this.#answers("/health/live")) {
      if (answer === undefined || (answer !== "silent" && answer.status === 200)) continue;
      return `Member ${view.member}: ${answer === "silent" ? SILENCE : standstillIn(answer.text)}`;
    }
    return undefined;
  }

  async metrics(): Promise<string> {
    const answers = await this.#answers("/metrics");
    const up = answers.flatMap(({ view, answer }) =>
      answer === undefined || answer === "silent" || answer.status !== 200 ? [] : [{ view, text: answer.text }],
    );
    const views = answers.map(({ view }) => view);
    const isUp = (view: MemberView) => up.some((one) => one.view === view);
    return `${mergedMetrics(up.map(({ text }) => text))}\n${setMetrics(this.service, views, isUp)}`;
  }

  #healthOf(view: MemberView, own: Readiness | undefined): MemberHealth {
    const { member, state, restarts, urls } = view;
    const url = urls[this.service];
    const { partitions: _, ...rest } = own ?? { partitions: [] };
    const shares = view.shared.includes(this.service);
    return { member, state, restarts, shares, ...(url === undefined ? {} : { url }), ...rest };
  }

  #answers(path: string): Promise<readonly Answered[]> {
    const kept = this.#kept.get(path);
    const now_ms = this.clock.now_ms();
    if (kept && now_ms - kept.asked_ms < KEPT_MS) return kept.answers;
    const answers = Promise.all(
      this.views().map(async (view) => {
        const url = view.state === "listening" ? view.urls[this.service] : undefined;
        return { view, answer: url === undefined ? undefined : await this.ask(url + path) };
      }),
    );
    this.#kept.set(path, { asked_ms: now_ms, answers });
    return answers;
  }
}

const SILENCE = "it does not answer on its own port.";

/** What a member says of its readiness. An answer that is none is as good as silence. */
function readinessIn(answer: Answered["answer"]): Readiness | undefined {
  if (answer === undefined) return undefined;
  const silent = { status: "silent", reason: SILENCE, partitions: [] };
  if (answer === "silent") return silent;
  try {
    const { log: _, ...readiness } = JSON.parse(answer.text) as Readiness & { log?: string };
    return typeof readiness.status === "string" && Array.isArray(readiness.partitions) ? readiness : silent;
  } catch {
    return silent;
  }
}

function standstillIn(text: string): string {
  try {
    return String((JSON.parse(text) as { standstill?: unknown }).standstill);
  } catch {
    return SILENCE;
  }
}

/** What is told of the set where one of its members is not ready. */
function troubleOf({ member }: MemberView, own: Readiness): Pick<Readiness, "status" | "reason" | "since"> {
  const { status, reason, since } = own;
  return {
    status,
    ...(reason === undefined ? {} : { reason: `Member ${member}: ${reason}` }),
    ...(since === undefined ? {} : { since }),
  };
}
