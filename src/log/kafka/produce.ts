import { type Cluster, Encoder, type Exchange } from "./cluster.ts";
import { readInt64 } from "./record-batch.ts";

export interface PartitionBatch {
  readonly partition: number;
  readonly bytes: Buffer;
}

export interface ProduceAnswer {
  readonly partition: number;
  readonly errorCode: number;
  readonly baseOffset: number;
}

interface ProduceError {
  readonly type: string;
  /** Sending the same batch again may succeed, and cannot append it twice. */
  readonly retriable: boolean;
  readonly fenced?: true;
}

/** https://kafka.apache.org/protocol#protocol_error_codes; a code not listed here is not retriable. */
export const PRODUCE_ERRORS: Readonly<Record<number, ProduceError>> = {
  3: { type: "UNKNOWN_TOPIC_OR_PARTITION", retriable: true },
  5: { type: "LEADER_NOT_AVAILABLE", retriable: true },
  6: { type: "NOT_LEADER_OR_FOLLOWER", retriable: true },
  7: { type: "REQUEST_TIMED_OUT", retriable: true },
  10: { type: "MESSAGE_TOO_LARGE", retriable: false },
  13: { type: "NETWORK_EXCEPTION", retriable: true },
  19: { type: "NOT_ENOUGH_REPLICAS", retriable: true },
  20: { type: "NOT_ENOUGH_REPLICAS_AFTER_APPEND", retriable: true },
  29: { type: "TOPIC_AUTHORIZATION_FAILED", retriable: false },
  45: { type: "OUT_OF_ORDER_SEQUENCE_NUMBER", retriable: false },
  46: { type: "DUPLICATE_SEQUENCE_NUMBER", retriable: false },
  47: { type: "INVALID_PRODUCER_EPOCH", retriable: false, fenced: true },
  51: { type: "CONCURRENT_TRANSACTIONS", retriable: true },
  56: { type: "KAFKA_STORAGE_ERROR", retriable: true },
  59: { type: "UNKNOWN_PRODUCER_ID", retriable: false },
  74: { type: "FENCED_LEADER_EPOCH", retriable: true },
  87: { type: "INVALID_RECORD", retriable: false },
  90: { type: "PRODUCER_FENCED", retriable: false, fenced: true },
};

const ACKS_ALL = -1;
const REPLICATION_WAIT_MS_MAX = 3_000;
const BATCH_HEAD_BYTES = 8;
const REQUEST_SLACK_MS = 1_000;

/**
 * Sends each leader its batches and resolves with all answers. Rejects with the first failure, but only when no send is under way any
 * more: each reads its batches when it is written to the connection, and the caller may use their bytes again afterwards.
 */
export async function sendToLeaders(
  cluster: Cluster,
  topic: string,
  batches: readonly PartitionBatch[],
  transactionalId: string | undefined,
  onSending: () => void = () => undefined,
): Promise<ProduceAnswer[]> {
  await cluster.addTargetTopic(topic);
  const leadersKnown = () => new Map(cluster.findTopicPartitionMetadata(topic).map((p) => [p.partitionId, p.leader]));
  let leaders = leadersKnown();
  if (batches.some(({ partition }) => (leaders.get(partition) ?? -1) < 0)) {
    // The partition may have been added, or its leader elected, after the metadata were read.
    await cluster.refreshMetadata();
    leaders = leadersKnown();
  }
  const byLeader = new Map<number, PartitionBatch[]>();
  for (const batch of batches) {
    const leader = leaders.get(batch.partition) ?? -1;
    if (leader < 0) throw new Error(`partition ${batch.partition} of ${topic} has no leader now`);
    byLeader.set(leader, [...(byLeader.get(leader) ?? []), batch]);
  }
  const sends = [...byLeader].map(async ([leader, ofLeader]) => {
    const broker = await cluster.findBroker({ nodeId: String(leader) });
    onSending();
    return broker.connectionPool.send(produceExchange(topic, ofLeader, transactionalId));
  });
  await Promise.allSettled(sends);
  return (await Promise.all(sends)).flat();
}

/** Produce version 7: https://kafka.apache.org/protocol#The_Messages_Produce */
function produceExchange(
  topic: string,
  batches: readonly PartitionBatch[],
  transactionalId: string | undefined,
): Exchange<ProduceAnswer[]> {
  return {
    request: {
      apiKey: 0,
      apiVersion: 7,
      apiName: "Produce",
      encode: async () => {
        const head = new Encoder()
          .writeString(transactionalId ?? null)
          .writeInt16(ACKS_ALL)
          .writeInt32(REPLICATION_WAIT_MS_MAX)
          .writeInt32(1)
          .writeString(topic)
          .writeInt32(batches.length);
        const chunks = [head.buffer];
        for (const { partition, bytes } of batches) {
          chunks.push(new Encoder(BATCH_HEAD_BYTES).writeInt32(partition).writeInt32(bytes.length).buffer, bytes);
        }
        return { chunks };
      },
    },
    response: { decode: async (payload) => decodeProduceAnswer(payload), parse: async (answers) => answers },
    requestTimeout: REPLICATION_WAIT_MS_MAX + REQUEST_SLACK_MS,
  };
}

function decodeProduceAnswer(payload: Buffer): ProduceAnswer[] {
  const answers: ProduceAnswer[] = [];
  let at = 0;
  const int32 = () => payload.readInt32BE((at += 4) - 4);
  for (let topics = int32(); topics > 0; topics--) {
    at += 2 + payload.readInt16BE(at);
    for (let partitions = int32(); partitions > 0; partitions--) {
      answers.push({ partition: int32(), errorCode: payload.readInt16BE(at), baseOffset: readInt64(payload, at + 2) });
      // Error code, base offset, log append time, log start offset.
      at += 2 + 8 + 8 + 8;
    }
  }
  return answers;
}
