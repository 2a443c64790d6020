import type { Clock } from "../../../system/clock.ts";
import { AppError } from "../../../errors.ts";
import type { Connections } from "./connections.ts";
import { describeError, ERROR_TOPIC_AUTHORIZATION_FAILED, ERROR_UNKNOWN_TOPIC, unavailable } from "../protocol/errors.ts";
import type { Metadata, PartitionMetadata, TopicMetadata } from "../protocol/metadata.ts";

export interface Leader {
  readonly nodeId: number;
  /** −1 if the broker does not tell. */
  readonly leaderEpoch: number;
}

const INVALID_TOPIC = 17;
const UNKNOWN_TOPIC_ID = 100;

/**
 * After this many answers in a row with a smaller epoch, no broker is lagging behind: the topic was made anew on a
 * cluster without topic ids.
 */
const SMALLER_EPOCHS_MAX = 5;

/**
 * The leader of each partition of one topic, as far as this instance of the connections has heard. A broker that lags
 * behind its cluster cannot bring an older leader back: of two answers, the one with the greater epoch counts
 * (KIP-320).
 */
export class TopicLeaders {
  /** The topic's id when it was last seen; it is kept when the topic is gone. */
  topicId: string | undefined;
  /** Whether the cluster does not know the topic. */
  isGone = false;
  controllerId = -1;
  brokers = 0;
  #partitions = new Map<number, PartitionMetadata>();
  /** By partition; those without a leader are missing. */
  #leaders = new Map<number, Leader>();
  #refreshing: Promise<void> | undefined;
  #refreshingNext: Promise<void> | undefined;
  #smallerEpochs = 0;

  constructor(
    private readonly connections: Connections,
    private readonly topic: string,
    private readonly clock: Clock,
  ) {}

  refreshedAt_ms = Number.NEGATIVE_INFINITY;

  get partitionCount(): number {
    return this.isGone ? 0 : this.#partitions.size;
  }

  /** Ascending by partition. */
  get partitions(): readonly PartitionMetadata[] {
    return this.isGone ? [] : [...this.#partitions.values()].toSorted((a, b) => a.partition - b.partition);
  }

  has(partition: number): boolean {
    return !this.isGone && this.#partitions.has(partition);
  }

  /** The same object until the metadata say something else. */
  leaderOf(partition: number): Leader | undefined {
    return this.isGone ? undefined : this.#leaders.get(partition);
  }

  /** Asks the brokers. Callers share an answer that is under way. Rejects with LOG_UNAVAILABLE. */
  refresh(): Promise<void> {
    return (this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = undefined)));
  }

  /** Like `refresh`, with an answer to a question that was sent after this call; those who call meanwhile share it. */
  refreshAnew(): Promise<void> {
    const underWay = this.#refreshing;
    if (underWay === undefined) return this.refresh();
    return (this.#refreshingNext ??= underWay
      .catch(() => undefined)
      .then(() => {
        this.#refreshingNext = undefined;
        return this.refresh();
      }));
  }

  async #refresh(): Promise<void> {
    const metadata = await this.connections.metadata([this.topic]);
    this.refreshedAt_ms = this.clock.now_ms();
    this.controllerId = metadata.controllerId;
    this.brokers = metadata.brokers.length;
    this.#take(topicIn(metadata, this.topic));
  }

  #take(found: TopicMetadata): void {
    this.isGone = found.errorCode === ERROR_UNKNOWN_TOPIC || found.errorCode === UNKNOWN_TOPIC_ID;
    if (this.isGone) return;
    const isAnother = this.topicId !== undefined && found.topicId !== undefined && this.topicId !== found.topicId;
    if (isAnother) this.#partitions = new Map();
    this.topicId = found.topicId ?? this.topicId;
    const isOlder = (now: PartitionMetadata): boolean =>
      now.leaderEpoch >= 0 && now.leaderEpoch < (this.#partitions.get(now.partition)?.leaderEpoch ?? -1);
    this.#smallerEpochs = found.partitions.some(isOlder) ? this.#smallerEpochs + 1 : 0;
    const isBelieved = this.#smallerEpochs >= SMALLER_EPOCHS_MAX;
    for (const now of found.partitions) if (isBelieved || !isOlder(now)) this.#partitions.set(now.partition, now);
    const led = [...this.#partitions.values()].filter(({ leader }) => leader >= 0);
    this.#leaders = new Map(led.map(({ partition, leader: nodeId, leaderEpoch }) => [partition, { nodeId, leaderEpoch }]));
  }
}

function topicIn(metadata: Metadata, topic: string): TopicMetadata {
  const found = metadata.topics.find((one) => one.topic === topic);
  if (!found) throw unavailable(new Error(`the broker did not answer for the topic ${topic}`));
  if (found.errorCode === ERROR_TOPIC_AUTHORIZATION_FAILED)
    throw new AppError("LOG_UNAVAILABLE", `The broker does not let this user see ${topic}; grant DESCRIBE on it.`);
  if (found.errorCode === INVALID_TOPIC)
    throw new AppError("LOG_UNAVAILABLE", `The broker refuses the topic ${topic}: ${describeError(INVALID_TOPIC, "DESCRIBE")}.`);
  return found;
}
