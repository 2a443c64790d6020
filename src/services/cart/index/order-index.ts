import { AppError } from "../../../errors.ts";
import type { LogPosition } from "../../../log/log-position.ts";
import { hashOf, type Partitioner } from "../../../log/partitioner.ts";
import type { HeldPartitions, PartitionView } from "../../../runtime/held-partitions.ts";
import type { Projection } from "../../../runtime/projection.ts";
import type { IndexedOrder, IndexView, KeyedEvent } from "./index-projection.ts";
import type { OwnCreate, OwnCreates } from "./own-creates.ts";
import { isSound } from "./soundness.ts";
import { mayHave } from "./strays.ts";

export interface OrderIndexOptions {
  readonly partitions: HeldPartitions;
  readonly projection: Projection<IndexView>;
  readonly ownCreates: OwnCreates;
  readonly partitioner: Partitioner;
  /** The partitions where carts create the order; undefined while that is not known. */
  readonly homes: (orderId: string) => readonly number[] | undefined;
  /** Called when the log is not the one that the index has read: the partition is to be halted. */
  readonly onDisagreement: (partition: number, error: AppError) => void;
}

/** Where one of this cart's events was appended, and under which leader. */
export interface Landing extends LogPosition {
  readonly leaderEpoch: number;
}

/** How many own creates may be acknowledged and not read yet. Beyond that, a create waits until it has been read. */
const OWN_CREATES_MAX = 20_000;

/**
 * What this cart knows of the topic: the index that it reads and, on top of that, the creates that it appended itself
 * and has not read back yet. In each partition it knows a prefix of the log, every record before `#known`: each of
 * them was either read, or is its own and was acknowledged by the leader that the index reads from. A create
 * acknowledged exactly at the end of the known prefix is decided without reading anything back (decision 6).
 *
 * ```
 *  a partition's known prefix:
 *  as far as read ──noteOwn() at its end──▶ farther than read
 *     ▲                                                         │
 *     └── another leader, reading interrupted, index made anew ─┘
 * ```
 */
export class OrderIndex {
  readonly #known = new Map<number, { readonly held: PartitionView | undefined; end: number; leaderEpoch: number }>();

  constructor(private readonly options: OrderIndexOptions) {}

  find(orderId: string): IndexedOrder | undefined {
    const own = this.options.ownCreates.find(orderId);
    // Under another leader the create may be lost, so the log decides.
    if (own && this.#readsFromLeader(own)) return own;
    return this.#findRead(orderId);
  }

  /**
   * The first event of the order under the id of an idempotency key, or otherwise an event of another order under it.
   */
  findKeyed(eventId: string, orderId: string): KeyedEvent | undefined {
    let ofOther: KeyedEvent | undefined;
    const { partitions, projection } = this.options;
    for (const held of partitions.held()) {
      const view = held.view(projection);
      if (view === undefined) continue;
      const event = queried(held, () => view.keyedEvent(eventId, orderId));
      if (event?.orderId === orderId) return event;
      ofOther ??= event;
    }
    return ofOther;
  }

  /** The same of the partitions whose rows may be answered from and can be. */
  findSoundKeyed(eventId: string, orderId: string): KeyedEvent | undefined {
    try {
      const found = this.findKeyed(eventId, orderId);
      return found && isSound(this.options.partitions.get(found.partition)) ? found : undefined;
    } catch {
      return undefined;
    }
  }

  /** What one partition has of an order, and of the events under the id of an idempotency key if one is given. */
  lookUp(
    partition: number,
    orderId: string,
    eventId: string | undefined,
  ): { readonly order: IndexedOrder | undefined; readonly keyed: KeyedEvent | undefined } {
    const own = this.options.ownCreates.find(orderId);
    if (own?.partition === partition && eventId === undefined && this.#readsFromLeader(own))
      return { order: { partition, offset: own.offset, eventId: own.eventId }, keyed: undefined };
    const held = this.options.partitions.get(partition);
    const view = held?.view(this.options.projection);
    if (held === undefined || view === undefined) return { order: undefined, keyed: undefined };
    return queried(held, () => ({
      order: view.order(orderId),
      keyed: eventId === undefined ? undefined : view.keyedEvent(eventId, orderId),
    }));
  }

  /**
   * Whether the partition may have the order, by the counts by which the orders were put there that were read. It may not
   * if nothing was read: a halted partition is to hold up as few creates as possible.
   */
  mayHave(partition: number, orderId: string): boolean {
    const { partitions, partitioner, projection } = this.options;
    const view = partitions.get(partition)?.view(projection);
    return view !== undefined && mayHave(view.placedBy, partition, hashOf(partitioner, orderId));
  }

  /** The offset before which every record was read. Nothing new can be appended before it. */
  readEnd(partition: number): number {
    return this.options.partitions.get(partition)?.nextOffset ?? 0;
  }

  /** The offset before which every record was read or is this cart's own. Nothing new can be appended before it. */
  knownEnd(partition: number): number {
    const held = this.options.partitions.get(partition);
    const readEnd = held?.nextOffset ?? 0;
    const known = this.#known.get(partition);
    if (!known) return readEnd;
    // An index that was made anew has not read what the one before it had.
    if (known.held === held && this.#readsFromLeader({ partition, leaderEpoch: known.leaderEpoch }))
      return Math.max(known.end, readEnd);
    this.#known.delete(partition);
    return readEnd;
  }

  /**
   * Throws if an event was acknowledged at an offset that was already known to hold another record when it was sent.
   */
  requireNotBefore({ partition, offset }: LogPosition, knownEnd: number): void {
    if (offset >= knownEnd) return;
    const message = `An event was acknowledged at offset ${offset} of partition ${partition}, of which every record before ${knownEnd} was known: the log lost its end, or the topic was made anew. If the log is right, stop the service, move the index away and start again; it is rebuilt from the log's start.`;
    this.options.onDisagreement(partition, new AppError("LOG_DISAGREES", message, { partition }));
    throw new AppError("APPEND_OUTCOME_UNKNOWN", `It is not known whether the event counts. ${message}`, { partition });
  }

  /** Notes an own event: one more record of the partition whose content is known. */
  noteOwn({ partition, offset, leaderEpoch }: Landing): void {
    if (!this.#readsFromLeader({ partition, leaderEpoch }) || this.knownEnd(partition) !== offset) return;
    const known = this.#known.get(partition);
    if (known) known.end = offset + 1;
    else this.#known.set(partition, { held: this.options.partitions.get(partition), end: offset + 1, leaderEpoch });
  }

  /**
   * The order's first create in the log, if every record before `landing` is known. `landing` is where an own create
   * was just acknowledged, and `own` is what `begin` returned for it.
   */
  firstKnown(own: OwnCreate | undefined, landing: Landing): IndexedOrder | undefined {
    if (!own || !this.#readsFromLeader(landing)) return undefined;
    const { partition, offset } = landing;
    // I8: only what lies before the create, in the log, tells whether it is the first.
    if (this.knownEnd(partition) < offset || this.#ownCreatesLeft() >= OWN_CREATES_MAX) return undefined;
    this.noteOwn(landing);
    // Unless it is contended, no other create of the order was read since `begin`, before which it was looked up.
    const first = own.contended ? this.#findRead(own.orderId) : undefined;
    if (first) return first;
    this.options.ownCreates.noteAcknowledged(own, landing);
    return { partition, offset, eventId: own.eventId };
  }

  /** Whether the index reads the partition from the leader of that epoch, and has not been interrupted since. */
  #readsFromLeader({ partition, leaderEpoch }: { readonly partition: number; readonly leaderEpoch: number }): boolean {
    const held = this.options.partitions.get(partition);
    return held?.leaderEpoch === leaderEpoch && held.hindered === undefined && isSound(held);
  }

  #ownCreatesLeft(): number {
    return this.options.ownCreates.forgetRead((partition) => this.readEnd(partition));
  }

  /**
   * The order's create in the partitions that are read here. If programs that disagree about the partitioner have created
   * it in two of them, the lower one counts. Whether what they lack is elsewhere, `IndexProgress` tells.
   */
  #findRead(orderId: string): IndexedOrder | undefined {
    const { homes, partitioner, partitions, projection } = this.options;
    const expected = homes(orderId);
    const hash = hashOf(partitioner, orderId);
    for (let partition = 0; partition < partitions.partitionCount; partition++) {
      const held = partitions.get(partition);
      const view = held?.view(projection);
      if (held === undefined || view === undefined) continue;
      if (expected?.includes(partition) === false && !mayHave(view.placedBy, partition, hash)) continue;
      const order = queried(held, () => view.order(orderId));
      if (order) return order;
    }
    return undefined;
  }
}

function queried<T>(held: PartitionView, query: () => T): T {
  try {
    return query();
  } catch (e) {
    throw held.queryError(e);
  }
}
