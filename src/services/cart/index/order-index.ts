import { AppError } from "../../../errors.ts";
import type { LogPosition } from "../../../log/log-position.ts";
import type { HeldPartitions } from "../../../runtime/held-partitions.ts";
import type { Projection } from "../../../runtime/projection.ts";
import type { IndexedOrder, IndexView, KeyedEvent } from "./index-projection.ts";
import type { OwnCreate, OwnCreates } from "./own-creates.ts";
import { isSound, unavailableError } from "./soundness.ts";

export interface OrderIndexOptions {
  readonly partitions: HeldPartitions;
  readonly projection: Projection<IndexView>;
  readonly ownCreates: OwnCreates;
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
 *     ▲                                          │
 *     └── another leader, reading interrupted ───┘
 * ```
 */
export class OrderIndex {
  readonly #known = new Map<number, { end: number; leaderEpoch: number }>();

  constructor(private readonly options: OrderIndexOptions) {}

  find(orderId: string): IndexedOrder | undefined {
    const own = this.options.ownCreates.find(orderId);
    // Under another leader the create may be lost, so the log decides.
    if (own && this.#readsFromLeader(own)) return own;
    return this.#query((view) => view.order(orderId));
  }

  /**
   * The first event of the order under the id of an idempotency key, or otherwise an event of another order under it.
   */
  findKeyed(eventId: string, orderId: string): KeyedEvent | undefined {
    return this.#query((view) => view.keyedEvent(eventId, orderId));
  }

  /** The offset before which every record was read. Nothing new can be appended before it. */
  readEnd(partition: number): number {
    return this.options.partitions.get(partition)?.nextOffset ?? 0;
  }

  /** The offset before which every record was read or is this cart's own. Nothing new can be appended before it. */
  knownEnd(partition: number): number {
    const readEnd = this.readEnd(partition);
    const known = this.#known.get(partition);
    if (!known) return readEnd;
    if (this.#readsFromLeader({ partition, leaderEpoch: known.leaderEpoch })) return Math.max(known.end, readEnd);
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
    else this.#known.set(partition, { end: offset + 1, leaderEpoch });
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
    const first = own.contended ? this.#query((view) => view.order(own.orderId)) : undefined;
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

  /** All partitions share one file, so the first partition that is open answers for all of them. */
  #query<T>(query: (view: IndexView) => T): T {
    const { partitions, projection } = this.options;
    for (let partition = 0; partition < partitions.partitionCount; partition++) {
      const held = partitions.get(partition);
      const view = held?.view(projection);
      if (held === undefined || view === undefined) continue;
      try {
        return query(view);
      } catch (e) {
        throw held.queryError(e);
      }
    }
    const first = partitions.get(0);
    if (partitions.readFailure !== undefined || first?.state === "halted" || first?.hindered !== undefined)
      throw unavailableError(partitions, 0);
    throw new AppError("CATCHING_UP", "The index of orders is not open yet; try again.");
  }
}
