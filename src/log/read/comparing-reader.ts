import { AppError } from "../../errors.ts";
import { cutBatch, firstRecord, lastRecord, recordsBefore } from "../batch-records.ts";
import type { Batch, FetchLimits, FetchResult, Log, LogRecord, Reader } from "../port.ts";

/** A topic and the id it had when it was first looked at, if the log has one (KIP-516). */
export interface KnownTopic {
  readonly name: string;
  readonly topicId: string | undefined;
}

/** The results of a fetch, without the interruptions, which are dealt with here. */
export type ComparedResult = Exclude<FetchResult, { readonly interrupted: string }>;

/** The last record that was given of a partition, and what identifies it. */
interface LastRecord {
  readonly offset: number;
  readonly leaderEpoch: number;
  readonly checksum: number | bigint;
}

/**
 * Reads on after interruptions and makes sure that all it gives comes from one log. After an interruption the topic
 * must have the id it had, and the last record that was given is read again (if there was none, the offset where
 * reading began). Before anything more is given, that record must be the same, and no record may lie between it and
 * the offset that the caller reads on from.
 *
 * ```
 *  sure ──interrupted──▶ in doubt: reads again from the last record given
 *   ▲                      │  └── another record, none, or one more ──▶ rejects with LOG_DISAGREES
 *   └── all is the same ───┘
 *       up to the caller's offset
 * ```
 */
export class ComparingReader {
  /** The first offset that was asked for of each partition. */
  readonly #startOffsets = new Map<number, number>();
  readonly #lastRecords = new Map<number, LastRecord>();
  /** The partitions in doubt, and the offset up to which each is known to be the same. */
  readonly #inDoubt = new Map<number, number>();
  #isTopicInDoubt = false;

  constructor(
    private readonly log: Log,
    private readonly topic: KnownTopic,
    private readonly reader: Reader = log.reader(topic.name),
  ) {}

  get isThrottled(): boolean {
    return this.reader.isThrottled;
  }

  /** Whether it is not known yet if the partition still has what was given of it. */
  isInDoubt(partition: number): boolean {
    return this.#inDoubt.has(partition);
  }

  /** Does what `Reader.fetch` does. Also rejects with LOG_DISAGREES, whose message says what to do. */
  async fetch(positions: ReadonlyMap<number, number>, limits: FetchLimits): Promise<ComparedResult[]> {
    if (this.#isTopicInDoubt) await this.#compareTopic();
    const asked = new Map(positions);
    for (const [partition, offset] of positions) {
      if (!this.#startOffsets.has(partition)) this.#startOffsets.set(partition, offset);
      asked.set(partition, this.#inDoubt.get(partition) ?? offset);
    }
    const results = await this.reader.fetch(asked, limits);
    return results.flatMap((result) => this.#compare(result, positions) ?? []);
  }

  close(): Promise<void> {
    return this.reader.close();
  }

  #compare(result: FetchResult, positions: ReadonlyMap<number, number>): ComparedResult | undefined {
    const { partition } = result;
    if ("interrupted" in result) {
      this.#isTopicInDoubt = true;
      this.#inDoubt.set(partition, this.#lastRecords.get(partition)?.offset ?? this.#startOffsets.get(partition) ?? 0);
      return undefined;
    }
    if ("unavailable" in result) return result;
    // This came with an interruption and may be of a topic that took the place of this one.
    if (this.#isTopicInDoubt) return undefined;
    if ("outOfRange" in result && result.outOfRange.endOffset < (positions.get(partition) ?? 0)) {
      throw this.#disagrees(partition, `it ends at offset ${result.outOfRange.endOffset} and had more`);
    }
    if (!("batch" in result)) return result;
    const position = positions.get(partition) ?? 0;
    const batch = this.#inDoubt.has(partition) ? this.#compareBatch(result.batch, position) : result.batch;
    const last = batch && lastRecord(batch);
    if (last) this.#lastRecords.set(partition, lastRecordOf(last));
    return batch && { partition, batch };
  }

  /**
   * The part of the batch from the caller's offset on, once it agrees with what was given before. Undefined if the
   * batch must not be used.
   */
  #compareBatch(batch: Batch, position: number): Batch | undefined {
    const { partition, nextOffset } = batch;
    const given = this.#lastRecords.get(partition);
    if (nextOffset <= batch.baseOffset) return undefined;
    if (given && batch.baseOffset <= given.offset && !isSame(given, firstRecord(batch)))
      throw this.#disagrees(partition, `it has another record at offset ${given.offset} than it had`);
    const added = recordsBefore(batch, position).find(({ offset }) => offset !== given?.offset);
    if (added) throw this.#disagrees(partition, `it has a record at offset ${added.offset} and had none`);
    if (nextOffset < position) {
      this.#inDoubt.set(partition, nextOffset);
      return undefined;
    }
    this.#inDoubt.delete(partition);
    // A caller that left part of a batch unused reads on from before the record that was compared.
    if (given && position <= given.offset) return undefined;
    return cutBatch(batch, position, nextOffset);
  }

  async #compareTopic(): Promise<void> {
    const { topicId, partitions } = await this.log.ends(this.topic.name);
    if (partitions.length === 0) throw new AppError("LOG_UNAVAILABLE", `There is no topic ${this.topic.name} now.`);
    if (isMadeAnew(this.topic, topicId)) throw madeAnew(this.topic.name);
    this.#isTopicInDoubt = false;
  }

  #disagrees(partition: number, what: string): AppError {
    return new AppError(
      "LOG_DISAGREES",
      `Partition ${partition} of ${this.topic.name} changed while it was read: ${what}. The log lost records, as after an unclean election of a leader; begin again.`,
    );
  }
}

/** Whether another topic has this name now. */
export const isMadeAnew = ({ topicId }: KnownTopic, idNow: string | undefined): boolean =>
  topicId !== undefined && idNow !== undefined && topicId !== idNow;

export const madeAnew = (topic: string): AppError =>
  new AppError(
    "LOG_DISAGREES",
    `The topic ${topic} was deleted and made anew since this began: what was read of it is not what it has. Begin again.`,
  );

const isSame = (given: LastRecord, record: LogRecord | undefined): boolean => {
  const again = record && lastRecordOf(record);
  return again?.offset === given.offset && again.checksum === given.checksum && again.leaderEpoch === given.leaderEpoch;
};

const lastRecordOf = ({ offset, leaderEpoch, key, value, undecodable }: LogRecord): LastRecord => ({
  offset,
  leaderEpoch,
  checksum: undecodable ? undecodable.lastOffset : Bun.hash.crc32(value ?? "", Bun.hash.crc32(key ?? "")),
});
