import { type Clock, within } from "../clock.ts";
import { AppError } from "../errors.ts";
import type { Watermarks } from "../log/log.ts";
import type { HeldPartitions } from "../partitions/projection.ts";
import type { Position } from "./commands.ts";
import type { IndexedOrder, IndexView, KeyedEvent } from "./index-projection.ts";
import type { OwnCreate, OwnCreates } from "./own-creates.ts";

export interface OrderIndexOptions {
  readonly partitions: HeldPartitions<IndexView>;
  readonly ownCreates: OwnCreates;
  readonly watermarks: () => Promise<readonly Watermarks[]>;
  readonly clock: Clock;
}

/** Own creates that are acknowledged and not read yet. Beyond this many, a create waits until it is read. */
const OWN_CREATES_MAX = 20_000;

/**
 * What this cart knows of the topic: the index it reads, and on top of it the creates it appended itself and has not read back yet.
 * Per partition it knows a prefix of the log, every record before `#known`: all read, or its own. A create acknowledged right at the
 * end of the known prefix is decided without reading anything back.
 */
export class OrderIndex {
  readonly #known = new Map<number, number>();
  #openedCount = 0;
  #lookingUp: Promise<readonly Watermarks[]> | undefined;
  #lookingUpNext: Promise<readonly Watermarks[]> | undefined;

  constructor(private readonly options: OrderIndexOptions) {}

  /**
   * Whether every partition has been read to the end it had when it was opened. Until then an order may lie unread in another
   * partition than the partitioner's: created by another program, or before partitions were added.
   */
  get isOpened(): boolean {
    const { partitions } = this.options;
    if (this.#openedCount !== partitions.partitionCount) {
      for (const { state, isSuspended } of partitions.held())
        if (state === "created" || state === "catching-up" || isSuspended) return false;
      this.#openedCount = partitions.partitionCount;
    }
    return true;
  }

  find(orderId: string): IndexedOrder | undefined {
    return this.options.ownCreates.find(orderId) ?? this.#look((view) => view.order(orderId));
  }

  findKeyed(eventId: string): KeyedEvent | undefined {
    return this.#look((view) => view.keyedEvent(eventId));
  }

  /** Notes an own event that is no create: one more record of the partition whose content is known. */
  noteOwn({ partition, offset }: Position): void {
    if (this.#knownOf(partition) === offset) this.#known.set(partition, offset + 1);
  }

  /**
   * The order's first create in the log, if every record before `position` is known; `position` is that of an own create just
   * acknowledged, and `own` what it was begun as.
   */
  firstKnown(own: OwnCreate | undefined, position: Position): IndexedOrder | undefined {
    if (!own || this.#knownOf(position.partition) < position.offset || this.#ownCreatesLeft() >= OWN_CREATES_MAX)
      return undefined;
    this.noteOwn(position);
    // Of the order nothing but this create was read or acknowledged since it was looked up, so it need not be looked up again.
    const first = own.contended ? this.#look((view) => view.order(own.orderId)) : undefined;
    if (first) return first;
    this.options.ownCreates.acknowledged(own, position);
    return { ...position, eventId: own.eventId };
  }

  /** The same once the index has read past `position`. Undefined when that did not happen before `deadline_ms`. */
  async firstRead(orderId: string, { partition, offset }: Position, deadline_ms: number): Promise<IndexedOrder | undefined> {
    return (await this.#reached(partition, offset + 1, deadline_ms)) ? this.find(orderId) : undefined;
  }

  /** Resolves once every order that was in the log when this was called is known. Rejects with CATCHING_UP or LOG_UNAVAILABLE. */
  caughtUp(deadline_ms: number): Promise<void> {
    return this.#atEnd(deadline_ms, (partition) => this.#knownOf(partition));
  }

  /** The same for keyed events, of which own ones too are known only when read. */
  hasRead(deadline_ms: number): Promise<void> {
    return this.#atEnd(deadline_ms, (partition) => this.options.partitions.get(partition)?.nextOffset ?? 0);
  }

  async #atEnd(deadline_ms: number, through: (partition: number) => number): Promise<void> {
    const { clock, partitions } = this.options;
    const ends = await within(clock, deadline_ms - clock.now_ms(), this.#ends());
    if (!ends) throw new AppError("LOG_UNAVAILABLE", "The log did not tell its end in time; try again.");
    const behind = [...ends.entries()].filter(([partition, { endOffset }]) => through(partition) < endOffset);
    const reached = await Promise.all(
      behind.map(([partition, { endOffset }]) => this.#reached(partition, endOffset, deadline_ms)),
    );
    if (!reached.every(Boolean) || ends.length === 0) {
      const halted = [...partitions.held()].find((held) => held.state === "halted");
      if (halted)
        throw new AppError("PARTITION_HALTED", `The index of partition ${halted.partition} is halted: ${halted.halted}`);
      throw new AppError("CATCHING_UP", "The index of orders is still being read from the log; try again.");
    }
  }

  /** An answer is good for every request that came before the question. So those that come meanwhile share the next question. */
  #ends(): Promise<readonly Watermarks[]> {
    if (!this.#lookingUp) return (this.#lookingUp = this.#askEnds());
    return (this.#lookingUpNext ??= this.#lookingUp.then(
      () => this.#askNext(),
      () => this.#askNext(),
    ));
  }

  #askNext(): Promise<readonly Watermarks[]> {
    this.#lookingUpNext = undefined;
    return (this.#lookingUp = this.#askEnds());
  }

  #askEnds(): Promise<readonly Watermarks[]> {
    const asked: Promise<readonly Watermarks[]> = this.options.watermarks().finally(() => {
      if (this.#lookingUp === asked && !this.#lookingUpNext) this.#lookingUp = undefined;
    });
    return asked;
  }

  #reached(partition: number, offset: number, deadline_ms: number): Promise<boolean> {
    const wait_ms = deadline_ms - this.options.clock.now_ms();
    return this.options.partitions.get(partition)?.reached(offset, wait_ms) ?? Promise.resolve(false);
  }

  #knownOf(partition: number): number {
    return Math.max(this.#known.get(partition) ?? 0, this.options.partitions.get(partition)?.nextOffset ?? 0);
  }

  #ownCreatesLeft(): number {
    return this.options.ownCreates.forgetRead((partition) => this.options.partitions.get(partition)?.nextOffset ?? 0);
  }

  /** All partitions share one file, so the first that is open answers. */
  #look<T>(query: (view: IndexView) => T): T {
    for (const held of this.options.partitions.held()) {
      if (!held.view) continue;
      try {
        return query(held.view);
      } catch (e) {
        throw held.failed(e);
      }
    }
    throw new AppError("CATCHING_UP", "The index of orders is not open yet; try again.");
  }
}
