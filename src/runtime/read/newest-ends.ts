import { AppError } from "../../errors.ts";
import type { EndOffset, Log } from "../../log/port.ts";

export interface Newest {
  readonly topicId: string | undefined;
  /** Where a reader gets to, by partition number; empty if the topic does not exist. */
  readonly stable: readonly EndOffset[];
  /** The same with what open transactions hold back, of those that were asked about as homes. */
  readonly ends: readonly EndOffset[];
}

/**
 * Asks where the log ends, for requests that must know all it has. An answer is good for every request made before the
 * question was sent, so all requests made while one question is under way share the next one.
 *
 * ```
 *  idle ──ask()──▶ collecting ──no question is under way──▶ under way ──▶ answered
 *                  (further asks join it)           (ask() collects for the next one)
 * ```
 */
export class NewestEnds {
  #underWay: Promise<unknown> = Promise.resolve();
  #next: { readonly homes: Wanted; readonly all: Wanted; readonly told: Promise<Newest> } | undefined;

  constructor(
    private readonly log: Pick<Log, "endOffsets">,
    private readonly topic: string,
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
    const told = this.#underWay.then(() => {
      this.#next = undefined;
      return this.#send(homes, all);
    });
    this.#underWay = told.catch(() => undefined);
    return { homes, all, told };
  }

  async #send(homes: Wanted, all: Wanted): Promise<Newest> {
    const { log, topic } = this;
    const [stable, ends] = await Promise.all([
      log.endOffsets(topic, all.partitions, "committed"),
      homes.isNone ? undefined : log.endOffsets(topic, homes.partitions, "uncommitted"),
    ]);
    if (ends !== undefined && ends.topicId !== stable.topicId)
      throw new AppError("LOG_UNAVAILABLE", `The topic ${topic} was made anew a moment ago; try again.`);
    return { topicId: stable.topicId, stable: stable.partitions, ends: ends?.partitions ?? [] };
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
