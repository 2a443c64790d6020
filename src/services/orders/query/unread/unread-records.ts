import type { Log } from "../../../../log/port.ts";
import type { PartitionView } from "../../../../runtime/held-partitions.ts";
import { type Clock, within } from "../../../../system/clock.ts";
import { keyNumber, type Room } from "./unread-keys.ts";
import { UnreadPartition } from "./unread-partition.ts";

/** How long a request waits for what is read; the read goes on without it, for those who ask later. */
export const UNREAD_WAIT_MS_MAX = 300;
/** How many keys are kept, of all partitions together (40 bytes each); what lies beyond is not known. */
const KEYS_MAX = 1_000_000;
/** How long the keys of a partition are kept, at least, that nobody asks about: until somebody asks about another one. */
const KEPT_MS_MAX = 60_000;

/**
 * Searches the log for an order among the records that partitions have not applied. Without this, while a partition is
 * blocked or suspended, an order that another program put there would be answered 404, or every unknown order of the
 * other partitions 503. The search includes the records of transactions, whether or not they are committed later,
 * because acknowledged records may come after them.
 *
 * Each record is read once, whoever asks, and each partition by itself: one whose leader is silent holds up no other.
 */
export class UnreadRecords {
  readonly #room: Room;
  readonly #partitions = new Map<number, UnreadPartition>();

  constructor(
    private readonly log: Log,
    private readonly topic: string,
    private readonly clock: Clock,
    keys_max = KEYS_MAX,
  ) {
    this.#room = { left: keys_max };
  }

  /**
   * The partitions whose unread records, as of this call, were all read and contain none of the order. One that cannot
   * be read, or not in time, is left out.
   */
  async without(orderId: string, partitions: readonly PartitionView[], wait_ms_max = UNREAD_WAIT_MS_MAX): Promise<Set<number>> {
    for (const unread of this.#partitions.values()) unread.forgetUnaskedSince(this.clock.now_ms() - KEPT_MS_MAX);
    const key = keyNumber(orderId);
    const wait_ms = Math.min(UNREAD_WAIT_MS_MAX, wait_ms_max);
    const without = new Set<number>();
    await Promise.all(
      partitions.map(async ({ partition, nextOffset }) => {
        if (await within(this.clock, wait_ms, this.#of(partition).lacks(key, nextOffset))) without.add(partition);
      }),
    );
    return without;
  }

  #of(partition: number): UnreadPartition {
    const { log, topic, clock } = this;
    const found = this.#partitions.get(partition) ?? new UnreadPartition(partition, { log, topic, room: this.#room, clock });
    this.#partitions.set(partition, found);
    return found;
  }
}
