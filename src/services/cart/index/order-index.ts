import { AppError } from "../../../errors.ts";
import type { LogPosition } from "../../../log/log-position.ts";
import type { HeldPartitions } from "../../../runtime/held-partitions.ts";
import type { Projection } from "../../../runtime/projection.ts";
import type { IndexedOrder, IndexView, KeyedEvent } from "./index-projection.ts";
import type { OwnCreate, OwnCreates } from "./own-creates.ts";
import { isSound, whyNot } from "./soundness.ts";

export interface OrderIndexOptions {
  readonly partitions: HeldPartitions;
  readonly projection: Projection<IndexView>;
  readonly ownCreates: OwnCreates;
  /** The log is another one than the index has read: the partition is to be halted. */
  readonly onDisagreement: (partition: number, error: AppError) => void;
}

/** Where an event of this cart was appended, and by which leader. */
export interface Landing extends LogPosition {
  readonly leaderEpoch: number;
}

/** Own creates that are acknowledged and not read yet. Beyond this many, a create waits until it is read. */
const OWN_CREATES_MAX = 20_000;

/**
 * What this cart knows of the topic: the index it reads, and on top of it the creates it appended itself and has not read back yet.
 * Per partition it knows a prefix of the log, every record before `#known`: all read, or its own and acknowledged by the leader that the
 * index reads from. A create acknowledged right at the end of the known prefix is decided without reading anything back (decision 6).
 */
export class OrderIndex {
  readonly #known = new Map<number, { end: number; leaderEpoch: number }>();

  constructor(private readonly options: OrderIndexOptions) {}

  find(orderId: string): IndexedOrder | undefined {
    const own = this.options.ownCreates.find(orderId);
    // Under another leader it may be lost: the log decides.
    if (own && this.#leads(own)) return own;
    return this.#look((view) => view.order(orderId));
  }

  /** The first event under the id of an idempotency key: the order's, else one of another order. */
  findKeyed(eventId: string, orderId: string): KeyedEvent | undefined {
    return this.#look((view) => view.keyedEvent(eventId, orderId));
  }

  /** Everything before it was read; nothing new can be appended there. */
  readEnd(partition: number): number {
    return this.options.partitions.get(partition)?.nextOffset ?? 0;
  }

  /** The same of what was read, or is this cart's own. */
  knownEnd(partition: number): number {
    const readEnd = this.readEnd(partition);
    const known = this.#known.get(partition);
    if (!known) return readEnd;
    if (this.#leads({ partition, leaderEpoch: known.leaderEpoch })) return Math.max(known.end, readEnd);
    this.#known.delete(partition);
    return readEnd;
  }

  /** Throws where an event was acknowledged at an offset at which, before it was sent, another record was known to be. */
  requireBehind({ partition, offset }: LogPosition, knownEnd: number): void {
    if (offset >= knownEnd) return;
    const message = `An event was acknowledged at offset ${offset} of partition ${partition}, of which every record before ${knownEnd} was known: the log lost its end, or the topic was made anew. If the log is right, stop the service, move the index away and start again; it is rebuilt from the log's start.`;
    this.options.onDisagreement(partition, new AppError("LOG_DISAGREES", message, { partition }));
    throw new AppError("APPEND_OUTCOME_UNKNOWN", `It is not known whether the event counts. ${message}`, { partition });
  }

  /** Notes an own event that is no create: one more record of the partition whose content is known. */
  noteOwn({ partition, offset, leaderEpoch }: Landing): void {
    if (!this.#leads({ partition, leaderEpoch }) || this.knownEnd(partition) !== offset) return;
    const known = this.#known.get(partition);
    if (known) known.end = offset + 1;
    else this.#known.set(partition, { end: offset + 1, leaderEpoch });
  }

  /**
   * The order's first create in the log, if every record before `landing` is known; `landing` is that of an own create just
   * acknowledged, and `own` what it was begun as.
   */
  firstKnown(own: OwnCreate | undefined, landing: Landing): IndexedOrder | undefined {
    if (!own || !this.#leads(landing)) return undefined;
    const { partition, offset } = landing;
    // I8: only what lies before the create, in the log, tells whether it is the first.
    if (this.knownEnd(partition) < offset || this.#ownCreatesLeft() >= OWN_CREATES_MAX) return undefined;
    this.noteOwn(landing);
    // Of the order nothing but this create was read or acknowledged since it was looked up, so it need not be looked up again.
    const first = own.contended ? this.#look((view) => view.order(own.orderId)) : undefined;
    if (first) return first;
    this.options.ownCreates.acknowledged(own, landing);
    return { partition, offset, eventId: own.eventId };
  }

  /** Whether the index reads the partition from the leader of that epoch, and was not interrupted since. */
  #leads({ partition, leaderEpoch }: { readonly partition: number; readonly leaderEpoch: number }): boolean {
    const held = this.options.partitions.get(partition);
    return held?.leaderEpoch === leaderEpoch && held.hindered === undefined && isSound(held);
  }

  #ownCreatesLeft(): number {
    return this.options.ownCreates.forgetRead((partition) => this.readEnd(partition));
  }

  /** All partitions share one file, so the first that is open answers. */
  #look<T>(query: (view: IndexView) => T): T {
    const { partitions, projection } = this.options;
    for (let partition = 0; partition < partitions.partitionCount; partition++) {
      const held = partitions.get(partition);
      const view = held?.view(projection);
      if (held === undefined || view === undefined) continue;
      try {
        return query(view);
      } catch (e) {
        throw held.failed(e);
      }
    }
    const first = partitions.get(0);
    if (partitions.readFailure !== undefined || first?.state === "halted" || first?.hindered !== undefined)
      throw whyNot(partitions, 0);
    throw new AppError("CATCHING_UP", "The index of orders is not open yet; try again.");
  }
}
