import type { Clock } from "../../system/clock.ts";
import { AppError } from "../../errors.ts";
import type { NewUuid } from "../../system/random.ts";
import type { GroupOptions, Membership } from "../membership.ts";
import type {
  CreatedTopic,
  EndOffsets,
  IdempotentProducer,
  Isolation,
  Log,
  Producer,
  Reader,
  TopicDescription,
  TopicEnds,
  Watermarks,
} from "../port.ts";
import { endOffsetsIn } from "../read/end-offsets.ts";
import { LogFile, offsetOf, recordId } from "./sqlite-file.ts";
import { partitionCount } from "./group-table.ts";
import { SqliteMembership } from "./sqlite-group.ts";
import { findPartition, noPartition, type PartitionRow, SqliteProducer } from "./sqlite-producer.ts";
import { Arrivals, SqliteReader } from "./sqlite-reader.ts";

export interface SqliteLogOptions {
  /**
   * The path of the file. A missing file is created, but its directory must exist. It must be on a local disk: locks
   * on network file systems do not hold.
   */
  readonly path: string;
  readonly clock: Clock;
  readonly newUuid: NewUuid;
  /** Names this process to others that wait for its group, such as "pid 4711". */
  readonly owner: string;
  /** The most time that may pass until a waiting reader hears of what another process appended. */
  readonly poll_wait_ms?: number;
  /** How long an append waits for other processes' appends before it gives up with `LOG_UNAVAILABLE`. */
  readonly append_wait_ms_max?: number;
}

/**
 * Opens the embedded log: a partitioned log in one SQLite file, shared by the processes of one machine. Throws
 * `LOG_UNAVAILABLE` if the file cannot be opened.
 */
export function openSqliteLog(options: SqliteLogOptions): Log {
  return new SqliteLog(options);
}

class SqliteLog implements Log {
  readonly #options: SqliteLogOptions;
  readonly #file: LogFile;
  readonly #arrivals: Arrivals;
  readonly #memberships = new Set<Membership>();

  constructor(options: SqliteLogOptions) {
    const { path, clock, newUuid, poll_wait_ms = 5, append_wait_ms_max = 4_000 } = options;
    this.#options = options;
    this.#file = new LogFile({ path, clock, newUuid, write_wait_ms_max: append_wait_ms_max });
    this.#arrivals = new Arrivals(this.#file, clock, poll_wait_ms);
  }

  async id(): Promise<string> {
    return this.#file.id;
  }

  /**
   * A topic here has no settings, whatever the options say: it takes any size and any timestamp, and keeps everything.
   */
  async createTopic(topic: string, partitions: number): Promise<CreatedTopic | undefined> {
    if ((await this.partitionCount(topic)) > 0) return undefined;
    return this.#file.write(() => {
      if (partitionCount(this.#file, topic) > 0) return undefined;
      this.#growTo(topic, partitions);
      return { partitions, replicas: undefined, settings: {} };
    });
  }

  async addPartitions(topic: string, partitions: number): Promise<void> {
    await this.#file.write(() => {
      if (partitionCount(this.#file, topic) === 0) throw noPartition(topic, 0);
      this.#growTo(topic, partitions);
    });
  }

  #growTo(topic: string, partitions: number): void {
    const insert = this.#file.db.query("INSERT INTO partitions (topic, partition) VALUES (?, ?)");
    for (let partition = partitionCount(this.#file, topic); partition < partitions; partition++) insert.run(topic, partition);
  }

  async partitionCount(topic: string): Promise<number> {
    return this.#file.read(() => partitionCount(this.#file, topic));
  }

  /** No topic is ever deleted here, so none needs an id of its own. */
  async describe(topic: string): Promise<TopicDescription | undefined> {
    const partitions = await this.partitionCount(topic);
    if (partitions === 0) return undefined;
    return { partitions, replicas: undefined, settings: {}, topicId: undefined, brokers: undefined };
  }

  async watermarks(topic: string): Promise<Watermarks[]> {
    return this.#file.read(() =>
      this.#file.db
        .query<Watermarks, [string]>(
          "SELECT start_offset AS startOffset, next_offset AS endOffset FROM partitions WHERE topic = ? ORDER BY partition",
        )
        .all(topic),
    );
  }

  async ends(topic: string): Promise<TopicEnds> {
    const watermarks = await this.watermarks(topic);
    const partitions = watermarks.map((each) => ({ ...each, stableOffset: each.endOffset, leaderEpoch: 0 }));
    return { topicId: undefined, partitions };
  }

  async endOffsets(topic: string, _wanted: ReadonlySet<number> | undefined, isolation: Isolation): Promise<EndOffsets> {
    return endOffsetsIn(await this.ends(topic), isolation);
  }

  /** Scans the records one by one: an index would burden every append. */
  async offsetsAt(topic: string, timestamp_ms: number): Promise<number[]> {
    const { db } = this.#file;
    return this.#file.read(() => {
      const partitions = db
        .query<PartitionRow, [string]>("SELECT row, start_offset, next_offset FROM partitions WHERE topic = ? ORDER BY partition")
        .all(topic);
      const first = db.query<{ id: number }, [number, number, number]>(
        "SELECT id FROM records WHERE id >= ? AND id < ? AND timestamp_ms >= ? ORDER BY id LIMIT 1",
      );
      return partitions.map(({ row, start_offset, next_offset }) => {
        const found = first.get(recordId(row, start_offset), recordId(row, next_offset), timestamp_ms);
        return found === null ? next_offset : offsetOf(row, found.id);
      });
    });
  }

  producer(): IdempotentProducer {
    return new SqliteProducer(this.#file, this.#arrivals, undefined);
  }

  async fencedProducer(fencingId: string): Promise<Producer> {
    const row = await this.#file.write(() =>
      this.#file.db
        .query<{ epoch: number }, [string]>(
          `INSERT INTO fences (fencing_id, epoch) VALUES (?, 1)
           ON CONFLICT DO UPDATE SET epoch = epoch + 1 RETURNING epoch`,
        )
        .get(fencingId),
    );
    return new SqliteProducer(this.#file, this.#arrivals, { fencingId, epoch: row!.epoch });
  }

  reader(topic: string): Reader {
    return new SqliteReader(topic, this.#file, this.#arrivals, this.#options.clock);
  }

  joinGroup(group: GroupOptions): Membership {
    const { path, clock, newUuid, owner } = this.#options;
    for (const earlier of this.#memberships) if (earlier.state === "left") this.#memberships.delete(earlier);
    const membership = new SqliteMembership({ path, file: this.#file, clock, newUuid, owner, group });
    this.#memberships.add(membership);
    membership.start();
    return membership;
  }

  async deleteRecords(topic: string, partition: number, beforeOffset: number): Promise<void> {
    const { db } = this.#file;
    await this.#file.write(() => {
      const { row, start_offset, next_offset } = findPartition(this.#file, topic, partition);
      if (beforeOffset > next_offset) {
        const message = `The partition ${topic}-${partition} ends at ${next_offset}: nothing before ${beforeOffset} can be deleted.`;
        throw new AppError("OFFSET_OUT_OF_RANGE", message);
      }
      if (beforeOffset <= start_offset) return;
      db.query("DELETE FROM records WHERE id >= ? AND id < ?").run(recordId(row, start_offset), recordId(row, beforeOffset));
      db.query("UPDATE partitions SET start_offset = ? WHERE row = ?").run(beforeOffset, row);
    });
  }

  /** Idempotent. Leaves the groups; a fetch that waits rejects with `LOG_UNAVAILABLE`. */
  async close(): Promise<void> {
    await Promise.all([...this.#memberships].map((membership) => membership.leave()));
    this.#memberships.clear();
    this.#file.close();
    this.#arrivals.notify();
  }
}
