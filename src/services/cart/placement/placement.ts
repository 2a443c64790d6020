import { type Clock, within } from "../../../system/clock.ts";
import { AppError } from "../../../errors.ts";
import { type Partitioner, partitionFor } from "../../../log/partitioner.ts";

export interface PlacementOptions {
  readonly partitioner: Partitioner;
  /** Longer than another cart may go on placing by fewer partitions after they were added; see `PARTITIONS_SETTLE_MS`. */
  readonly settle_ms: number;
  /** Resolves once every order is known that was in the log when this was called. */
  readonly catchUp: (deadline_ms: number) => Promise<void>;
  /** Why an index is not at its partition's end and may never be, such as one that is halted. */
  readonly hindrance: () => AppError | undefined;
  /** Whether the topic holds nothing and has as many partitions as it is created with: no cart can have placed by another count. */
  readonly isTopicNew: (partitionCount: number) => Promise<boolean>;
  /** By how many partitions this cart's creates were placed when it ended. */
  readonly recall: () => number | undefined;
  readonly remember: (partitionCount: number) => void;
  /** Something a person should read. */
  readonly onMessage: (message: string) => void;
  readonly clock: Clock;
  /** Aborted when the cart ends. */
  readonly ending: AbortSignal;
}

/** A count asked for longer ago than this is not trusted. */
export const COUNT_TRUSTED_MS_MAX = 2_500;
const CATCH_UP_WAIT_MS = 10_000;

/**
 * In which partition an order is created. All carts must agree on it at any time, or two of them put one new id in two partitions,
 * between which the log has no order. So a cart places by a larger count only when no other can still place by a smaller one, and its
 * own index has read whatever they placed. Until then the orders that the larger count would move wait.
 *
 * ```
 *  unknown ──confirm()──▶ settling ── settle_ms later, index at the log's end ──▶ settled ──confirm(larger)──▶ settling
 *                            └── placed by this count before, or the topic is new ────▲
 * ```
 */
export class Placement {
  #settled: number | undefined;
  #latest = 0;
  #latestSince_ms = 0;
  /** The latest count that has stood for `settle_ms`. */
  #stood = 0;
  #told = 0;
  #askedAt_ms = Number.NEGATIVE_INFINITY;
  #settling = false;
  #changed = Promise.withResolvers<void>();

  constructor(private readonly options: PlacementOptions) {}

  /** Whether there is a count by which creates are placed: not so on a topic that is new to this cart, for `settle_ms`. */
  get isSettled(): boolean {
    return this.#settled !== undefined;
  }

  /** The topic has `partitionCount` partitions, or had when that was asked. */
  confirm(partitionCount: number, askedAt_ms: number): void {
    if (partitionCount > this.#latest) {
      if (this.#latest === 0) {
        const remembered = this.options.recall();
        if (remembered !== undefined && remembered <= partitionCount) this.#settled = remembered;
      }
      this.#latest = partitionCount;
      this.#latestSince_ms = this.options.clock.now_ms();
      void this.#stand(partitionCount);
    }
    this.#askedAt_ms = askedAt_ms;
    if (this.#settled !== this.#latest && !this.#settling) void this.#settle(this.#latest);
    this.#wake();
  }

  /** The partition in which the order is to be created now; undefined while that cannot be said. */
  place(orderId: string): number | undefined {
    const { clock, partitioner } = this.options;
    if (this.#settled === undefined || clock.now_ms() - this.#askedAt_ms > COUNT_TRUSTED_MS_MAX) return undefined;
    const partition = partitionFor(partitioner, orderId, this.#settled);
    return this.#latest === this.#settled || partitionFor(partitioner, orderId, this.#latest) === partition
      ? partition
      : undefined;
  }

  /** Where the order can be by the counts that carts place by now; undefined while this cart does not know them. */
  homes(orderId: string): number[] | undefined {
    const settled = this.#settled;
    return settled === undefined
      ? undefined
      : [settled, this.#latest].map((count) => partitionFor(this.options.partitioner, orderId, count));
  }

  /** Resolves with the partition once it can be said. Rejects at the deadline, with LOG_UNAVAILABLE, CATCHING_UP or the hindrance. */
  async placeInTime(orderId: string, deadline_ms: number): Promise<number> {
    const { clock } = this.options;
    for (;;) {
      const partition = this.place(orderId);
      if (partition !== undefined) return partition;
      const changed = this.#changed.promise.then(() => true);
      if (!(await within(clock, deadline_ms - clock.now_ms(), changed))) throw this.#whyNot();
    }
  }

  #whyNot(): AppError {
    const { clock, settle_ms } = this.options;
    const now_ms = clock.now_ms();
    if (now_ms - this.#askedAt_ms > COUNT_TRUSTED_MS_MAX)
      return new AppError("LOG_UNAVAILABLE", "The log does not tell the topic's partitions; try again.");
    const hindrance = this.options.hindrance();
    if (hindrance) return hindrance;
    const left_s = Math.max(1, Math.ceil((this.#latestSince_ms + settle_ms - now_ms) / 1_000));
    const why = this.#settled === undefined ? "This cart is new to the topic" : "Partitions were added to the topic";
    return new AppError("CATCHING_UP", `${why}; orders like this one can be created in about ${left_s} s.`);
  }

  /** Measured by a timer: the clock may run ahead of the time, which makes other waits end early and would make this one wrong. */
  async #stand(partitionCount: number): Promise<void> {
    const { clock, settle_ms, ending } = this.options;
    await clock.sleep(settle_ms, ending);
    if (!ending.aborted) this.#stood = partitionCount;
  }

  async #settle(partitionCount: number): Promise<void> {
    const { clock, catchUp, isTopicNew, remember } = this.options;
    this.#settling = true;
    try {
      const isDue = this.#stood === partitionCount;
      if (!isDue && !(this.#settled === undefined && (await isTopicNew(partitionCount)))) return this.#tellOnce(partitionCount);
      await catchUp(clock.now_ms() + CATCH_UP_WAIT_MS);
      if (this.#latest !== partitionCount) return;
      remember(partitionCount);
      this.#settled = partitionCount;
      this.#wake();
    } catch {
      // The log or the disk is away, or a partition is halted; the next confirmation tries again.
    } finally {
      this.#settling = false;
    }
  }

  #tellOnce(partitionCount: number): void {
    if (this.#told === partitionCount) return;
    this.#told = partitionCount;
    const why =
      this.#settled === undefined
        ? `This cart is new to the topic, which has ${partitionCount} partitions: creates wait`
        : `The topic has ${partitionCount} partitions in place of ${this.#settled}: creates of orders that move wait`;
    this.options.onMessage(`${why} up to ${this.options.settle_ms} ms, until no other cart can place them otherwise.`);
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
