import { type Clock, within } from "../../../system/clock.ts";
import { AppError } from "../../../errors.ts";
import { type Partitioner, partitionFor } from "../../../log/partitioner.ts";

export interface PlacementOptions {
  readonly partitioner: Partitioner;
  /**
   * How long a new partition count must stand before it is used. It is longer than another cart may go on placing by
   * fewer partitions after some were added; see `PARTITIONS_SETTLE_MS`.
   */
  readonly settle_ms: number;
  /** Resolves once the index knows every order that was in the log when this was called. */
  readonly catchUp: (deadline_ms: number) => Promise<void>;
  /** Says why the index is not at a partition's end and may never get there, for example because it is halted. */
  readonly hindrance: () => AppError | undefined;
  /**
   * Whether the topic is empty and has the number of partitions with which it is created, so that no cart can have
   * placed by another count.
   */
  readonly isTopicNew: (partitionCount: number) => Promise<boolean>;
  /** The partition count by which this cart placed its creates when it last ran. */
  readonly recall: () => number | undefined;
  readonly remember: (partitionCount: number) => void;
  /** Called with a message that a person should read. */
  readonly onMessage: (message: string) => void;
  readonly clock: Clock;
  /** Aborts when the cart ends. */
  readonly ending: AbortSignal;
}

/** A partition count that was asked for longer ago than this is not trusted (I8). */
export const COUNT_TRUSTED_MS_MAX = 2_500;
const CATCH_UP_WAIT_MS = 10_000;

/**
 * Decides in which partition an order is created. All carts must agree on it at any time. Otherwise two of them could
 * put one new id in two partitions, between which the log has no order. So a cart places by a larger partition count
 * only once no other cart can still place by a smaller one, and its own index has read whatever they placed. Until
 * then, the orders that the larger count would move have to wait.
 *
 * ```
 *  unknown ──confirm()──▶ settling ── settle_ms passed, index at log's end ──▶ settled ──confirm(larger)──▶ settling
 *                            └── placed by this count before, or topic is new ──▲
 *                            └── another cart places by it, index at log's end ─┘
 * ```
 */
export class Placement {
  #settled: number | undefined;
  #latest = 0;
  #latestSince_ms = 0;
  /** The newest partition count that has stood for `settle_ms`. */
  #stood = 0;
  /** The partition count by which another cart places. */
  #heard = 0;
  #announced = 0;
  #askedAt_ms = Number.NEGATIVE_INFINITY;
  #settling = false;
  #changed = Promise.withResolvers<void>();

  constructor(private readonly options: PlacementOptions) {}

  /**
   * Whether there is a partition count by which creates are placed. While the cart's index is new there is none for
   * `settle_ms`.
   */
  get isSettled(): boolean {
    return this.#settled !== undefined;
  }

  /** The partition count by which creates are placed now; undefined while there is none. */
  get settledCount(): number | undefined {
    return this.#settled;
  }

  /** Notes that the topic had `partitionCount` partitions when it was asked. */
  confirm(partitionCount: number, askedAt_ms: number): void {
    if (partitionCount > this.#latest) {
      if (this.#latest === 0) {
        const remembered = this.options.recall();
        if (remembered !== undefined && remembered <= partitionCount) this.#settled = remembered;
      }
      this.#latest = partitionCount;
      this.#latestSince_ms = this.options.clock.now_ms();
      void this.#noteOnceStood(partitionCount);
    }
    this.#askedAt_ms = askedAt_ms;
    if (this.#settled !== this.#latest && !this.#settling) void this.#settle(this.#latest);
    this.#wake();
  }

  /**
   * Notes that another cart places creates by this count. It has made sure that none can place by a smaller one, so that
   * this cart need not wait for that any more.
   */
  hear(partitionCount: number): void {
    this.#heard = partitionCount;
    if (partitionCount === this.#latest && this.#settled !== partitionCount && !this.#settling) void this.#settle(partitionCount);
  }

  /** The partition in which to create the order now; undefined while that is undecided. */
  place(orderId: string): number | undefined {
    const { clock, partitioner } = this.options;
    if (this.#settled === undefined || clock.now_ms() - this.#askedAt_ms > COUNT_TRUSTED_MS_MAX) return undefined;
    const partition = partitionFor(partitioner, orderId, this.#settled);
    return this.#latest === this.#settled || partitionFor(partitioner, orderId, this.#latest) === partition
      ? partition
      : undefined;
  }

  /**
   * The partitions in which the order may be, by the counts that carts place by now; undefined while this cart does
   * not know those.
   */
  homes(orderId: string): number[] | undefined {
    const settled = this.#settled;
    if (settled === undefined) return undefined;
    const { partitioner } = this.options;
    const home = partitionFor(partitioner, orderId, settled);
    return settled === this.#latest ? [home] : [home, partitionFor(partitioner, orderId, this.#latest)];
  }

  /**
   * Resolves with the partition once it is decided. Rejects at the deadline, with LOG_UNAVAILABLE, CATCHING_UP or the
   * hindrance.
   */
  async placeInTime(orderId: string, deadline_ms: number): Promise<number> {
    const { clock } = this.options;
    for (;;) {
      const partition = this.place(orderId);
      if (partition !== undefined) return partition;
      const changed = this.#changed.promise.then(() => true);
      if (!(await within(clock, deadline_ms - clock.now_ms(), changed))) throw this.#unsettledError();
    }
  }

  #unsettledError(): AppError {
    const { clock, settle_ms } = this.options;
    const now_ms = clock.now_ms();
    if (now_ms - this.#askedAt_ms > COUNT_TRUSTED_MS_MAX)
      return new AppError("LOG_UNAVAILABLE", "The log does not tell the topic's partitions; try again.");
    const hindrance = this.options.hindrance();
    if (hindrance) return hindrance;
    const left_s = Math.max(1, Math.ceil((this.#latestSince_ms + settle_ms - now_ms) / 1_000));
    const why = this.#settled === undefined ? "This cart's index is new" : "Partitions were added to the topic";
    return new AppError("CATCHING_UP", `${why}; orders like this one can be created in about ${left_s} s.`);
  }

  /**
   * A timer measures this wait, because the clock may run ahead of time: that makes other waits end early, and would
   * make this one wrong.
   */
  async #noteOnceStood(partitionCount: number): Promise<void> {
    const { clock, settle_ms, ending } = this.options;
    await clock.sleep(settle_ms, ending);
    if (!ending.aborted) this.#stood = partitionCount;
  }

  async #settle(partitionCount: number): Promise<void> {
    const { clock, catchUp, isTopicNew, remember } = this.options;
    this.#settling = true;
    try {
      const isDue = this.#stood === partitionCount || this.#heard === partitionCount;
      if (!isDue && !(this.#settled === undefined && (await isTopicNew(partitionCount))))
        return this.#announceOnce(partitionCount);
      await catchUp(clock.now_ms() + CATCH_UP_WAIT_MS);
      if (this.#latest !== partitionCount) return;
      remember(partitionCount);
      this.#settled = partitionCount;
      this.#wake();
    } catch {
      // The log or the disk is away, or a partition is halted. The next confirmation tries again.
    } finally {
      this.#settling = false;
    }
  }

  #announceOnce(partitionCount: number): void {
    if (this.#announced === partitionCount) return;
    this.#announced = partitionCount;
    const why =
      this.#settled === undefined
        ? `This cart's index is new, and the topic has ${counted(partitionCount)}: creates wait`
        : `The topic has ${counted(partitionCount)} in place of ${this.#settled}: creates of orders that move wait`;
    this.options.onMessage(`${why} up to ${this.options.settle_ms} ms, until no other cart can place them otherwise.`);
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

const counted = (partitions: number): string => (partitions === 1 ? "1 partition" : `${partitions} partitions`);
