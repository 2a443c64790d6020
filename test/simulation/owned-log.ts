import type { FetchLimits, GroupOptions, Log, Membership, NewRecord, Producer, Reader, TopicLimits } from "../../src/log/log.ts";
import type { MemoryLog } from "../../src/log/memory-log.ts";
import type { Owner } from "./scheduler.ts";

/** A process's view of the log in memory: every answer reaches it as an event of its own. */
export class OwnedLog implements Log {
  readonly kind = "memory";

  constructor(
    private readonly log: MemoryLog,
    private readonly owner: Owner,
  ) {}

  id = (): Promise<string> => this.owner.receive(this.log.id());
  createTopic = (topic: string, partitions: number, _limits?: TopicLimits): Promise<void> =>
    this.owner.receive(this.log.createTopic(topic, partitions));
  addPartitions = (topic: string, partitions: number): Promise<void> =>
    this.owner.receive(this.log.addPartitions(topic, partitions));
  partitionCount = (topic: string): Promise<number> => this.owner.receive(this.log.partitionCount(topic));
  watermarks: Log["watermarks"] = (topic) => this.owner.receive(this.log.watermarks(topic));
  offsetsAt: Log["offsetsAt"] = (topic, timestamp_ms) => this.owner.receive(this.log.offsetsAt(topic, timestamp_ms));
  deleteRecords: Log["deleteRecords"] = (topic, partition, before) =>
    this.owner.receive(this.log.deleteRecords(topic, partition, before));
  close = (): Promise<void> => this.owner.receive(this.log.close());

  producer(): Producer {
    return this.#owned(this.log.producer());
  }

  async fencedProducer(fencingId: string): Promise<Producer> {
    return this.#owned(await this.owner.receive(this.log.fencedProducer(fencingId)));
  }

  reader(topic: string): Reader {
    const reader = this.log.reader(topic);
    return {
      fetch: (positions: ReadonlyMap<number, number>, limits: FetchLimits) =>
        this.owner.receive(reader.fetch(new Map(positions), limits)),
      close: () => this.owner.receive(reader.close()),
    };
  }

  /** The coordinator tells only members that can be reached, so what it tells needs no event. */
  joinGroup(options: GroupOptions): Membership {
    const membership = this.log.joinGroup(options);
    return {
      get state() {
        return membership.state;
      },
      isOwner: () => membership.isOwner(),
      commit: (offsets) => this.owner.receive(membership.commit(offsets)),
      leave: () => this.owner.receive(membership.leave()),
    };
  }

  #owned(producer: Producer): Producer {
    return {
      append: (topic: string, records: readonly NewRecord[]) => this.owner.receive(producer.append(topic, records)),
      close: () => this.owner.receive(producer.close()),
    };
  }
}
