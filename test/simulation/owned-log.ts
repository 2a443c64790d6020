import type { GroupOptions, Membership } from "../../src/log/membership.ts";
import type { FetchLimits, IdempotentProducer, Isolation, Log, Producer, Reader } from "../../src/log/port.ts";
import type { MemoryLog } from "../log/memory/memory-log.ts";
import { inBlocks } from "./memory-block.ts";
import type { Owner, Scheduler } from "./scheduler.ts";

/** A process's view of the log in memory: every answer reaches the process as an event of its own. */
export class OwnedLog implements Log {
  /** Of the orders' topic; see `heardSince_ms`. */
  readonly #heardSince_ms = new Map<number, number>();

  constructor(
    private readonly log: MemoryLog,
    private readonly owner: Owner,
    private readonly scheduler: Scheduler,
    private readonly topic: string,
    /** At most how many records there are in a block; undefined if the log gives no blocks. */
    private readonly blockRecords_max?: number,
  ) {}

  /** When the newest fetch was sent that told something of this partition of the orders' topic. */
  heardSince_ms(partition: number): number {
    return this.#heardSince_ms.get(partition) ?? Number.NEGATIVE_INFINITY;
  }

  id = (): Promise<string> => this.owner.receive(this.log.id());
  createTopic: Log["createTopic"] = (topic, partitions, options) =>
    this.owner.receive(this.log.createTopic(topic, partitions, options));
  addPartitions = (topic: string, partitions: number): Promise<void> =>
    this.owner.receive(this.log.addPartitions(topic, partitions));
  partitionCount = (topic: string): Promise<number> => this.owner.receive(this.log.partitionCount(topic));
  describe: Log["describe"] = (topic) => this.owner.receive(this.log.describe(topic));
  ends: Log["ends"] = (topic) => this.owner.receive(this.log.ends(topic));
  endOffsets: Log["endOffsets"] = (topic, wanted, isolation) => this.owner.receive(this.log.endOffsets(topic, wanted, isolation));
  watermarks: Log["watermarks"] = (topic) => this.owner.receive(this.log.watermarks(topic));
  offsetsAt: Log["offsetsAt"] = (topic, timestamp_ms) => this.owner.receive(this.log.offsetsAt(topic, timestamp_ms));
  deleteRecords: Log["deleteRecords"] = (topic, partition, before) =>
    this.owner.receive(this.log.deleteRecords(topic, partition, before));
  close = (): Promise<void> => this.owner.receive(this.log.close());

  producer(): IdempotentProducer {
    const producer = this.log.producer();
    return {
      ...this.#owned(producer),
      lane: (topic, partition) => producer.lane(topic, partition),
      batchBytesMax: (topic) => producer.batchBytesMax(topic),
      send: (...args) => this.owner.receive(producer.send(...args)),
    };
  }

  async fencedProducer(fencingId: string): Promise<Producer> {
    return this.#owned(await this.owner.receive(this.log.fencedProducer(fencingId)));
  }

  reader(topic: string, isolation?: Isolation): Reader {
    const reader = this.log.reader(topic, isolation);
    return {
      get isThrottled() {
        return reader.isThrottled;
      },
      fetch: async (positions: ReadonlyMap<number, number>, limits: FetchLimits) => {
        const asked_ms = this.scheduler.now_ms;
        const since_ms = this.owner.now_ms();
        const fetched = await this.owner.receive(reader.fetch(new Map(positions), limits));
        const results = fetched.map((result) =>
          "batch" in result ? { ...result, batch: { ...result.batch, asked_ms: since_ms } } : result,
        );
        if (topic === this.topic) for (const { partition } of results) this.#heardSince_ms.set(partition, asked_ms);
        const { blockRecords_max } = this;
        return blockRecords_max === undefined ? results : results.map((result) => inBlocks(result, blockRecords_max));
      },
      close: () => this.owner.receive(reader.close()),
    };
  }

  /** The coordinator informs only members that it can reach, so what it says needs no event of its own. */
  joinGroup(options: GroupOptions): Membership {
    const membership = this.log.joinGroup(options);
    return {
      get state() {
        return membership.state;
      },
      isOwner: () => membership.isOwner(),
      rejoin: () => membership.rejoin(),
      commit: (offsets) => this.owner.receive(membership.commit(offsets)),
      committed: (partitions) => this.owner.receive(membership.committed(partitions)),
      leave: () => this.owner.receive(membership.leave()),
    };
  }

  #owned(producer: Producer): Producer {
    return {
      append: (...args) => this.owner.receive(producer.append(...args)),
      close: () => this.owner.receive(producer.close()),
    };
  }
}
