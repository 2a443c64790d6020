import type { AppError } from "../../errors.ts";
import type { NewRecord, SendOutcome } from "../port.ts";
import { BATCH_HEAD_BYTES } from "./record-size.ts";

/** Where the log has a record. */
export type Appended = Exclude<SendOutcome, { readonly error: AppError }>;

export interface PendingAppend {
  readonly record: NewRecord;
  /** The most bytes that the record can take in a batch. */
  readonly bytes: number;
  readonly deadline_ms: number;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: AppError) => void;
  /** Whether its deadline passed while it was in flight. */
  isOverdue: boolean;
}

/** The records that wait for one partition. */
export interface Queue {
  readonly partition: number;
  waiting: PendingAppend[];
  isSending: boolean;
  /** Why the partition's last send failed. Until one succeeds, the partition has a lane of its own. */
  failure: AppError | undefined;
}

/** The bounds of a batch: for all its partitions together, and for each of them. */
export interface BatchLimits {
  readonly records_max: number;
  readonly bytes_max: number;
  readonly partition_bytes_max: number;
}

/** The records that wait to be appended, in a queue for each partition, with their number and size in all. */
export class AppendQueues implements Iterable<Queue> {
  records = 0;
  bytes = 0;
  /** A queue moves to the end when a batch took only some of its records. */
  readonly #queues = new Map<number, Queue>();

  /** `onExpired` is called for each record whose deadline passed before a batch took it. */
  constructor(private readonly onExpired: (waiting: PendingAppend, queue: Queue) => void) {}

  [Symbol.iterator](): Iterator<Queue> {
    return this.#queues.values();
  }

  of(partition: number): Queue {
    const found = this.#queues.get(partition);
    if (found) return found;
    const queue: Queue = { partition, waiting: [], isSending: false, failure: undefined };
    this.#queues.set(partition, queue);
    return queue;
  }

  push(waiting: PendingAppend): Queue {
    const queue = this.of(waiting.record.partition);
    queue.waiting.push(waiting);
    this.records++;
    this.bytes += waiting.bytes;
    return queue;
  }

  /** Puts records back in front of those that wait, in the order given. */
  putBack(again: readonly PendingAppend[]): void {
    for (const waiting of again.toReversed()) {
      this.of(waiting.record.partition).waiting.unshift(waiting);
      this.records++;
      this.bytes += waiting.bytes;
    }
  }

  /** Takes the next batch of these queues. It has at least one record, unless all of them are too late. */
  take(queues: readonly Queue[], { records_max, bytes_max, partition_bytes_max }: BatchLimits, now_ms: number): PendingAppend[] {
    const batch: PendingAppend[] = [];
    let bytes = 0;
    for (const queue of queues) {
      let ofPartition_bytes = BATCH_HEAD_BYTES;
      let taken = 0;
      for (const waiting of queue.waiting) {
        if (waiting.deadline_ms > now_ms) {
          if (batch.length >= records_max || (batch.length > 0 && bytes + waiting.bytes > bytes_max)) break;
          if (ofPartition_bytes > BATCH_HEAD_BYTES && ofPartition_bytes + waiting.bytes > partition_bytes_max) break;
          ofPartition_bytes += waiting.bytes;
          bytes += waiting.bytes;
          batch.push(waiting);
        } else this.onExpired(waiting, queue);
        this.#subtract(waiting);
        taken++;
      }
      queue.waiting.splice(0, taken);
      if (taken === 0 || queue.waiting.length === 0) continue;
      this.#queues.delete(queue.partition);
      this.#queues.set(queue.partition, queue);
    }
    return batch;
  }

  expire(now_ms: number): void {
    for (const queue of this.#queues.values()) {
      if (!queue.waiting.some((waiting) => waiting.deadline_ms <= now_ms)) continue;
      queue.waiting = queue.waiting.filter((waiting) => {
        if (waiting.deadline_ms > now_ms) return true;
        this.#subtract(waiting);
        this.onExpired(waiting, queue);
        return false;
      });
    }
  }

  #subtract({ bytes }: PendingAppend): void {
    this.records--;
    this.bytes -= bytes;
  }
}
