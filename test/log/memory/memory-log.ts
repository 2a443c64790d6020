import type { Clock } from "../../../src/system/clock.ts";
import { AppError } from "../../../src/errors.ts";
import type { NewUuid } from "../../../src/system/random.ts";
import type { GroupOptions, Membership } from "../../../src/log/membership.ts";
import type {
  CreatedTopic,
  EndOffsets,
  IdempotentProducer,
  Isolation,
  Log,
  NewRecord,
  PartitionEnds,
  Producer,
  Reader,
  TopicDescription,
  TopicEnds,
  TopicOptions,
  Watermarks,
} from "../../../src/log/port.ts";
import { endOffsetsIn } from "../../../src/log/read/end-offsets.ts";
import { MemoryGroup, MemoryMembership } from "./memory-group.ts";
import { denied, MemoryProducer } from "./memory-producer.ts";
import { MemoryReader } from "./memory-reader.ts";
import { BROKERS, ends, type MemoryTopic, MemoryTopics, stableOffset } from "./memory-topics.ts";

/**
 * What happens to an append. `ok` · `reject`: refused, not in the log · `lose-answer`: in the log, but the answer is
 * lost · `land-late`: the answer is lost, and the records land `late_ms` later unless the producer is fenced by then ·
 * `hang`: the request is lost, which shows only after `request_wait_ms_max`.
 */
export type AppendFault = "ok" | "reject" | "lose-answer" | "land-late" | "hang";
/**
 * What happens to a fetch. `empty`: it returns nothing · `hang`: it returns nothing, `request_wait_ms_max` late ·
 * `partial`: it returns one record of each partition.
 */
export type FetchFault = "ok" | "reject" | "empty" | "hang" | "partial";

/**
 * The state of a partition's leadership. `none`: it has no leader; fetches return nothing, its end is not known, and
 * its records in an append are refused, while those of other partitions land. A number: it has a new leader, whose high
 * watermark lags by that many records behind what it holds; fetches return only what lies before the watermark, and the
 * end is still not known, since a leader does not report one that goes back (KIP-207).
 */
export type LeaderFault = "ok" | "none" | number;

/** Decides what goes wrong, by the name of the handle that asks. It must be deterministic for a run to be. */
export interface MemoryFaults {
  /** The process cannot reach the broker: every call rejects with `LOG_UNAVAILABLE`, and no heartbeat arrives. */
  away(connection: string): boolean;
  /** The process stands still: it sends no heartbeat and notices nothing. */
  stalled(connection: string): boolean;
  onAppend(connection: string, topic: string, records: readonly NewRecord[]): AppendFault;
  onFetch(connection: string, topic: string): FetchFault;
  leader(topic: string, partition: number): LeaderFault;
  /**
   * Whether the process is refused, for as long as this is true, the right to append to the topic or hold the fencing
   * id.
   */
  isDenied(connection: string, topicOrFencingId: string): boolean;
}

const created = ({ partitions, record_bytes_max }: MemoryTopic): CreatedTopic => ({
  partitions: partitions.length,
  replicas: BROKERS,
  settings: { "max.message.bytes": String(record_bytes_max) },
});

export const noFaults: MemoryFaults = {
  away: () => false,
  stalled: () => false,
  onAppend: () => "ok",
  onFetch: () => "ok",
  leader: () => "ok",
  isDenied: () => false,
};

export interface MemoryBrokerOptions {
  readonly clock: Clock;
  readonly newUuid: NewUuid;
  readonly faults?: MemoryFaults;
  /**
   * How long each call takes; 0 is one turn of the event loop. It is called once per call, so that a seed can decide.
   */
  readonly latency_ms?: (connection: string) => number;
  /** A group member that is silent for longer than this is expired. */
  readonly session_ms?: number;
  readonly request_wait_ms_max?: number;
  readonly late_ms?: number;
}

/**
 * A broker entirely in memory: the third adapter of the `Log` port, for simulation. Every process has a handle of its
 * own (`connect`). It reads no clock or random numbers but those passed in, so a seed replays a run. Appends of fenced
 * producers leave a commit marker behind them, as Kafka's transactions do.
 */
export class MemoryBroker {
  readonly id: string;
  readonly clock: Clock;
  readonly faults: MemoryFaults;
  readonly session_ms: number;
  readonly request_wait_ms_max: number;
  readonly late_ms: number;
  readonly latency_ms: (connection: string) => number;
  readonly topics: MemoryTopics;
  readonly #groups = new Map<string, MemoryGroup>();
  #members = 0;

  constructor(options: MemoryBrokerOptions) {
    this.id = options.newUuid();
    this.clock = options.clock;
    this.topics = new MemoryTopics(options.clock, options.newUuid);
    this.faults = options.faults ?? noFaults;
    this.session_ms = options.session_ms ?? 10_000;
    this.request_wait_ms_max = options.request_wait_ms_max ?? 4_000;
    this.late_ms = options.late_ms ?? 1_000;
    this.latency_ms = options.latency_ms ?? (() => 0);
  }

  /** `clock` is the process's own clock, which measures its sessions. */
  connect(name: string, clock: Clock = this.clock): MemoryLog {
    return new MemoryLog(this, name, clock);
  }

  join(connection: MemoryLog, options: GroupOptions): MemoryMembership {
    const key = JSON.stringify([options.group, options.topic]);
    const group =
      this.#groups.get(key) ?? new MemoryGroup(this.clock, this.session_ms, () => this.topics.topic(options.topic).length);
    this.#groups.set(key, group);
    const { name } = connection;
    // The member joins with its first heartbeat, so one that is away or stalled joins later.
    const membership = new MemoryMembership(
      `${name}-${String(++this.#members).padStart(6, "0")}`,
      group,
      options,
      connection.clock,
      {
        away: () => this.faults.away(name),
        stalled: () => this.faults.stalled(name),
        crashed: () => connection.crashed,
      },
    );
    membership.start();
    return membership;
  }
}

/** One process's handle. After `crash()` its calls never settle and its group members fall silent. */
export class MemoryLog implements Log {
  crashed = false;
  #closed = false;
  readonly #memberships = new Set<MemoryMembership>();
  constructor(
    readonly broker: MemoryBroker,
    readonly name: string,
    readonly clock: Clock,
  ) {}

  /** The process is killed: what it had sent may have landed, but it hears of nothing any more. */
  crash(): void {
    this.crashed = true;
    this.broker.topics.notify();
  }

  /** A request takes its time, then runs `body` at the broker in one step. */
  async call<T>(body: () => T): Promise<T> {
    this.check();
    const ms = this.broker.latency_ms(this.name);
    await (ms > 0 ? this.broker.clock.sleep(ms) : this.broker.clock.yield());
    if (this.crashed) return new Promise(() => {});
    this.check();
    return body();
  }

  check(): void {
    if (this.#closed) throw new AppError("LOG_UNAVAILABLE", "The log was closed by this process.");
    if (this.broker.faults.away(this.name)) throw new AppError("LOG_UNAVAILABLE", "The broker cannot be reached. Try again.");
  }

  id(): Promise<string> {
    return this.call(() => this.broker.id);
  }

  createTopic(topic: string, partitions: number, options?: TopicOptions): Promise<CreatedTopic | undefined> {
    return this.call(() =>
      this.broker.topics.find(topic) ? undefined : created(this.broker.topics.growTo(topic, partitions, options)),
    );
  }

  describe(topic: string): Promise<TopicDescription | undefined> {
    return this.call(() => {
      const found = this.broker.topics.find(topic);
      return found && { ...created(found), topicId: found.topicId, brokers: BROKERS };
    });
  }

  addPartitions(topic: string, partitions: number): Promise<void> {
    return this.call(() => {
      this.broker.topics.partition(topic, 0);
      this.broker.topics.growTo(topic, partitions);
    });
  }

  partitionCount(topic: string): Promise<number> {
    return this.call(() => this.broker.topics.topic(topic).length);
  }

  watermarks(topic: string): Promise<Watermarks[]> {
    return this.call(() =>
      this.broker.topics.topic(topic).map((found, partition) => {
        if (this.broker.faults.leader(topic, partition) === "ok") return ends(found);
        throw new AppError("LOG_UNAVAILABLE", `The leader of ${topic}-${partition} cannot tell its end now. Try again.`);
      }),
    );
  }

  ends(topic: string): Promise<TopicEnds> {
    return this.call(() => ({
      topicId: this.broker.topics.find(topic)?.topicId,
      partitions: this.broker.topics.topic(topic).map((found, partition): PartitionEnds => {
        const leader = this.broker.faults.leader(topic, partition);
        if (leader === "none") return { unavailable: `The partition ${topic}-${partition} has no leader now.` };
        if (leader !== "ok") return { unavailable: `The new leader of ${topic}-${partition} cannot tell its end yet.` };
        const { startOffset, endOffset } = ends(found);
        return { startOffset, endOffset, stableOffset: stableOffset(found), leaderEpoch: found.leaderEpoch };
      }),
    }));
  }

  async endOffsets(topic: string, wanted: ReadonlySet<number> | undefined, isolation: Isolation): Promise<EndOffsets> {
    const { topicId, partitions } = endOffsetsIn(await this.ends(topic), isolation);
    const nobody = Promise.resolve({ unavailable: "Nobody asked for it." });
    return { topicId, partitions: partitions.map((end, partition) => (wanted?.has(partition) === false ? nobody : end)) };
  }

  offsetsAt(topic: string, timestamp_ms: number): Promise<number[]> {
    return this.call(() =>
      this.broker.topics.topic(topic).map(({ startOffset, entries }) => {
        const index = entries.findIndex((entry) => entry !== null && entry.timestamp_ms >= timestamp_ms);
        return startOffset + (index < 0 ? entries.length : index);
      }),
    );
  }

  producer(): IdempotentProducer {
    return new MemoryProducer(this, undefined);
  }

  fencedProducer(fencingId: string): Promise<Producer> {
    return this.call(() => {
      if (this.broker.faults.isDenied(this.name, fencingId)) throw denied(fencingId);
      return new MemoryProducer(this, { fencingId, epoch: this.broker.topics.nextEpoch(fencingId) });
    });
  }

  reader(topic: string, isolation: Isolation = "committed"): Reader {
    return new MemoryReader(this, topic, isolation);
  }

  joinGroup(options: GroupOptions): Membership {
    const membership = this.broker.join(this, options);
    this.#memberships.add(membership);
    return membership;
  }

  /** Whether the coordinator regards this process as the partition's owner, whatever the process itself believes. */
  isOwnerByGroup(partition: number): boolean {
    return [...this.#memberships].some((membership) => membership.isOwnerByGroup(partition));
  }

  deleteRecords(topic: string, partition: number, beforeOffset: number): Promise<void> {
    return this.call(() => {
      const found = this.broker.topics.partition(topic, partition);
      const { startOffset, endOffset } = ends(found);
      if (beforeOffset > endOffset) {
        const message = `The partition ${topic}-${partition} ends at ${endOffset}: nothing before ${beforeOffset} can be deleted.`;
        throw new AppError("OFFSET_OUT_OF_RANGE", message);
      }
      if (beforeOffset <= startOffset) return;
      found.entries.splice(0, beforeOffset - startOffset);
      found.startOffset = beforeOffset;
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.broker.topics.notify();
    await Promise.all([...this.#memberships].map((membership) => membership.leave()));
  }
}
