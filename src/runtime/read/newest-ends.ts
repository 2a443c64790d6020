import { AppError } from "../../errors.ts";
import type { EndOffset, EndOffsets, Log } from "../../log/port.ts";
import { type Clock, within } from "../../system/clock.ts";

/** How long a question waits for its slowest leader before it is answered without it, and the next question is sent. */
export const SLOW_LEADER_MS = 100;

/** An end that its leader has not told yet. */
interface PendingEnd {
  readonly later: Promise<EndOffset>;
}

export interface Newest {
  readonly topicId: string | undefined;
  /** Where a reader gets to, by partition number; empty if the topic does not exist. */
  readonly stable: readonly (EndOffset | PendingEnd)[];
  /** The same with what open transactions hold back, of those that were asked about as homes. */
  readonly ends: readonly (EndOffset | PendingEnd)[];
}

/** The end as its leader tells it within `wait_ms_max`; unavailable if it does not. */
export async function toldEnd(
  clock: Clock,
  end: EndOffset | PendingEnd | undefined,
  wait_ms_max: number,
): Promise<EndOffset | undefined> {
  if (end === undefined || !("later" in end)) return end;
  return (await within(clock, wait_ms_max, end.later)) ?? { unavailable: "Its leader has not answered yet." };
}

/**
 * Asks where the log ends, for requests that must know all it has. An answer is good for every request made before the
 * question was sent, so all requests made while one question is under way share the next one. A leader that does not
 * answer holds up neither what the others tell nor the next question.
 *
 * ```
 *  idle ──ask()──▶ collecting ──no question is under way──▶ under way ──▶ answered, or slow
 *                  (further asks join it)           (ask() collects for the next one)
 * ```
 */
export class NewestEnds {
  #underWay: Promise<unknown> = Promise.resolve();
  #next: { readonly homes: Wanted; readonly all: Wanted; readonly told: Promise<Newest> } | undefined;

  constructor(
    private readonly log: Pick<Log, "endOffsets">,
    private readonly topic: string,
    private readonly clock: Clock,
  ) {}

  /**
   * How far the `homes` go, in which an order must not be overlooked, and how far a reader gets in these and in the
   * `others`. Where either is undefined, all partitions are meant. Rejects like `Log.endOffsets`.
   */
  ask(homes: readonly number[] | undefined, others: readonly number[] | undefined): Promise<Newest> {
    this.#next ??= this.#collect();
    const { told } = this.#next;
    this.#next.homes.add(homes);
    this.#next.all.add(homes);
    this.#next.all.add(others);
    return told;
  }

  #collect() {
    const [homes, all] = [new Wanted(), new Wanted()];
    const sent = this.#underWay.then(() => {
      this.#next = undefined;
      const told = this.#send(homes, all);
      // Nor does a broker hold it up that does not tell who leads.
      this.#underWay = within(this.clock, 2 * SLOW_LEADER_MS, told).catch(() => undefined);
      return { told };
    });
    return { homes, all, told: sent.then(({ told }) => told) };
  }

  async #send(homes: Wanted, all: Wanted): Promise<Newest> {
    const { log, topic } = this;
    // In this order: a reader that gets to where the log ended a moment before has nothing hidden from it.
    const [ends, stable] = await Promise.all([
      homes.isNone ? undefined : log.endOffsets(topic, homes.partitions, "uncommitted"),
      log.endOffsets(topic, all.partitions, "committed"),
    ]);
    if (ends !== undefined && ends.topicId !== stable.topicId)
      throw new AppError("LOG_UNAVAILABLE", `The topic ${topic} was made anew a moment ago; try again.`);
    const [toldStable, toldEnds] = await Promise.all([this.#told(stable), ends && this.#told(ends)]);
    return { topicId: stable.topicId, stable: toldStable, ends: toldEnds ?? [] };
  }

  async #told({ partitions }: EndOffsets): Promise<(EndOffset | PendingEnd)[]> {
    const told: EndOffset[] = [];
    const telling = partitions.map((end, partition) => end.then((value) => void (told[partition] = value)));
    await within(this.clock, SLOW_LEADER_MS, Promise.all(telling));
    return partitions.map((later, partition) => told[partition] ?? { later });
  }
}

/** The partitions that a question is about; `partitions` is undefined for all of them. */
class Wanted {
  #partitions: Set<number> | undefined = new Set();

  get partitions(): ReadonlySet<number> | undefined {
    return this.#partitions;
  }

  get isNone(): boolean {
    return this.#partitions?.size === 0;
  }

  add(more: readonly number[] | undefined): void {
    if (more === undefined) this.#partitions = undefined;
    else for (const partition of more) this.#partitions?.add(partition);
  }
}
