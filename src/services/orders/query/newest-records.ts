import { AppError, isAppError } from "../../../errors.ts";
import type { EndOffset } from "../../../log/port.ts";
import type { HeldPartitions } from "../../../runtime/held-partitions.ts";
import { type Newest, type NewestEnds, toldEnd } from "../../../runtime/read/newest-ends.ts";
import { type Clock, within } from "../../../system/clock.ts";
import { causeOf, hasUnread, hiddenBehind } from "./trust.ts";

/** How long a 404 waits for the log's word and for its records; after that it is a 503. Less than a hop takes at most. */
export const NEWEST_WAIT_MS_MAX = 800;
/** How long the newest records are waited for where only another program would have put the order. */
const OTHERS_WAIT_MS_MAX = 250;
const NOT_IN_TIME = "The log did not tell its end in time; ask again.";
/** How often to look whether the leader that told the end is the one whose records are applied. */
const LOOK_WAIT_MS = 20;

interface Wait {
  readonly deadline_ms: number;
  /** Aborts when nobody waits any more. */
  readonly over?: AbortSignal;
}

/**
 * Waits for the records that the log has as of a request, before the request is told that an order does not exist: what
 * a partition was last heard to hold may lack an order that was acknowledged since.
 */
export class NewestRecords {
  constructor(
    private readonly partitions: HeldPartitions,
    private readonly ends: NewestEnds,
    private readonly clock: Clock,
  ) {}

  /**
   * Resolves once `home` and the `others` have applied all that the log had of them when this was called, or after
   * `wait_ms_max`: with why not, of those that have not. The others are waited for more briefly, and not at all if they
   * do not go on. Left out are those of which it was known before that something is not applied, and those whose end the
   * log does not tell.
   *
   * It resolves at once when `isFound` says that `home` has applied what is looked for: what the log has beyond that
   * does not matter then. When `leaving` aborts, it resolves with "left", and no record is waited for any more.
   */
  async applied(
    home: number | undefined,
    others: readonly number[],
    wait_ms_max: number,
    { isFound, leaving }: { readonly isFound?: (() => boolean) | undefined; readonly leaving?: AbortSignal | undefined } = {},
  ): Promise<Map<number, AppError> | "left"> {
    const longest_ms = home === undefined ? Math.min(OTHERS_WAIT_MS_MAX, wait_ms_max) : wait_ms_max;
    const over = new AbortController();
    const wait = { deadline_ms: this.clock.now_ms() + longest_ms, over: over.signal };
    const applying = this.#allOf(home, others, wait);
    try {
      const first = await Promise.race([
        applying,
        ...(home === undefined || isFound === undefined ? [] : [this.#untilFound(home, isFound, wait)]),
        ...(leaving === undefined ? [] : [aborted(leaving, over.signal)]),
      ]);
      return first ?? (await applying);
    } finally {
      over.abort();
    }
  }

  /** Resolves with what `applied` tells of an order that is found; undefined if it is not, or nobody waits any more. */
  async #untilFound(
    home: number,
    isFound: () => boolean,
    { deadline_ms, over }: Wait,
  ): Promise<Map<number, AppError> | undefined> {
    for (let looks = 0; ; looks++) {
      const held = this.partitions.get(home);
      if (held === undefined) return undefined;
      if (isFound()) return new Map();
      const { nextOffset } = held;
      // Whoever waits looks once in a turn, also where many batches are applied in it.
      if (looks > 0) await this.clock.yield();
      if (over?.aborted === true) return undefined;
      if (!(await held.reached(nextOffset + 1, deadline_ms - this.clock.now_ms(), over))) return undefined;
    }
  }

  async #allOf(home: number | undefined, others: readonly number[], wait: Wait): Promise<Map<number, AppError>> {
    const wait_ms_max = wait.deadline_ms - this.clock.now_ms();
    const asking = this.#ask([...(home === undefined ? [] : [home]), ...others]);
    const newest = (await within(this.clock, wait_ms_max, asking).catch(failureOf)) ?? unknownEnd(NOT_IN_TIME);
    const late = new Map<number, AppError>();
    const note = (partition: number, why: AppError | undefined): void => {
      if (why !== undefined) late.set(partition, why);
    };
    const asked = isAppError(newest) ? [] : others;
    await Promise.all([
      home === undefined ? undefined : this.#homeApplied(home, newest, wait).then((why) => note(home, why)),
      ...asked.map((partition) => this.#otherApplied(partition, newest as Newest, wait).then((why) => note(partition, why))),
    ]);
    return late;
  }

  /**
   * Resolves once these partitions have applied all that a reader got of them when this was called. Rejects with why one
   * has not after NEWEST_WAIT_MS_MAX.
   */
  async requireApplied(numbers: readonly number[]): Promise<void> {
    if (numbers.length === 0) return;
    const deadline_ms = this.clock.now_ms() + NEWEST_WAIT_MS_MAX;
    const newest = await within(this.clock, NEWEST_WAIT_MS_MAX, this.#ask([], numbers));
    if (newest === undefined) throw unknownEnd(NOT_IN_TIME);
    const { stable } = newest;
    const applying = numbers.map(async (partition) => {
      const end = await toldEnd(this.clock, stable[partition], deadline_ms - this.clock.now_ms());
      return this.#allApplied(partition, end, undefined, { deadline_ms });
    });
    for (const why of await Promise.all(applying)) if (why !== undefined) throw why;
  }

  /** What will have to be applied is read while the log is asked. */
  #ask(toTheirEnds: readonly number[], others: readonly number[] = []): Promise<Newest> {
    this.partitions.hurry?.();
    return this.ends.ask(toTheirEnds, others);
  }

  /**
   * What another program's transaction hides is not waited for, and must be searched: a transaction that began a moment
   * ago is not known of yet.
   */
  async #otherApplied(partition: number, newest: Newest, { deadline_ms, over }: Wait): Promise<AppError | undefined> {
    const until_ms = Math.min(deadline_ms, this.clock.now_ms() + OTHERS_WAIT_MS_MAX);
    const told = (ends: Newest["ends"]) => toldEnd(this.clock, ends[partition], until_ms - this.clock.now_ms());
    const [stable, end] = await Promise.all([told(newest.stable), told(newest.ends)]);
    const held = this.partitions.get(partition);
    if (!isTold(stable) || !isTold(end) || held === undefined || hasUnread(held)) return undefined;
    if (held.nextOffset < stable.endOffset) {
      if (held.state !== "running") return causeOf(held);
      const wait_ms = until_ms - this.clock.now_ms();
      if (!(await held.reached(stable.endOffset, wait_ms, over)) && this.partitions.get(partition) === held) return causeOf(held);
    }
    const isHidden = stable.endOffset < end.endOffset && held.nextOffset < end.endOffset;
    return isHidden ? hiddenBehind(partition, stable.endOffset) : undefined;
  }

  async #homeApplied(home: number, newest: Newest | AppError, wait: Wait): Promise<AppError | undefined> {
    if (isAppError(newest)) return newest;
    const end = await toldEnd(this.clock, newest.ends[home], wait.deadline_ms - this.clock.now_ms());
    return this.#allApplied(home, end, newest.stable[home], wait);
  }

  /** Where a reader gets to is told as `stable`, if that may be less than the `end` that is to be applied. */
  async #allApplied(
    partition: number,
    end: EndOffset | undefined,
    stable: Newest["stable"][number] | undefined,
    { deadline_ms, over }: Wait,
  ): Promise<AppError | undefined> {
    if (end === undefined || "unavailable" in end) {
      const why = end?.unavailable ?? "The log does not know it.";
      return unknownEnd(`What partition ${partition} holds is not known now: ${why}`, partition);
    }
    const behind = this.partitions.get(partition);
    if (behind !== undefined && behind.nextOffset < end.endOffset)
      await behind.reached(end.endOffset, deadline_ms - this.clock.now_ms(), over);
    for (;;) {
      const held = this.partitions.get(partition);
      // Whoever has it now is asked.
      if (held === undefined) return undefined;
      // What was applied from one leader says nothing about what the next one has at the same offsets.
      const isOfLeader = held.nextOffset === 0 || held.leaderEpoch >= end.leaderEpoch;
      if (held.nextOffset >= end.endOffset && isOfLeader) return undefined;
      if (held.nextOffset < end.endOffset || this.clock.now_ms() >= deadline_ms || over?.aborted === true) {
        const from = stable !== undefined && "endOffset" in stable ? stable.endOffset : end.endOffset;
        const isHidden = held.hindered === undefined && held.state === "running" && held.nextOffset >= from;
        if (!isHidden || from >= end.endOffset) return causeOf(held);
        return hiddenBehind(partition, from);
      }
      await this.clock.sleep(LOOK_WAIT_MS, over);
    }
  }
}

/** Resolves when the signal aborts, unless that is `over` before. */
const aborted = (signal: AbortSignal, over: AbortSignal): Promise<"left"> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve("left");
    else signal.addEventListener("abort", () => resolve("left"), { once: true, signal: over });
  });

const isTold = (end: EndOffset | undefined): end is Extract<EndOffset, { endOffset: number }> =>
  end !== undefined && !("unavailable" in end);

const unknownEnd = (message: string, partition?: number): AppError =>
  new AppError("LOG_UNAVAILABLE", message, partition === undefined ? {} : { partition });

const failureOf = (e: unknown): AppError => {
  if (isAppError(e)) return e;
  throw e;
};
