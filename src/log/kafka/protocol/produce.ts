import type { Exchange } from "../connection/cluster.ts";
import { WireReader, WireWriter } from "./wire.ts";

export interface PartitionBatch {
  readonly partition: number;
  readonly bytes: Buffer;
}

export interface PartitionAppended {
  readonly partition: number;
  readonly errorCode: number;
  readonly baseOffset: number;
}

export interface ProduceAnswer {
  readonly throttle_ms: number;
  readonly partitions: readonly PartitionAppended[];
}

/** I1: a broker answers once all in-sync replicas have the records. */
const ACKS_ALL = -1;
export const REPLICATION_WAIT_MS_MAX = 3_000;
export const REQUEST_SLACK_MS = 1_000;

/**
 * Produce, version 7: https://kafka.apache.org/protocol#The_Messages_Produce. The batches' bytes are read when the
 * request is written.
 */
export function produceExchange(
  topic: string,
  batches: readonly PartitionBatch[],
  transactionalId: string | null,
): Exchange<ProduceAnswer> {
  return {
    request: {
      apiKey: 0,
      apiVersion: 7,
      apiName: "Produce",
      encode: async () => {
        const out = new WireWriter().string(transactionalId).int16(ACKS_ALL).int32(REPLICATION_WAIT_MS_MAX);
        out.int32(1).string(topic);
        return out.array(batches, ({ partition, bytes }) => out.int32(partition).bytes(bytes)).done();
      },
    },
    response: { decode: async (payload) => decode(payload), parse: async (answer) => answer },
    requestTimeout: REPLICATION_WAIT_MS_MAX + REQUEST_SLACK_MS,
  };
}

function decode(payload: Buffer): ProduceAnswer {
  const wire = new WireReader(payload);
  const partitions = wire
    .array(() => {
      wire.string();
      return wire.array((): PartitionAppended => {
        const appended = { partition: wire.int32(), errorCode: wire.int16(), baseOffset: wire.int64() };
        // Log append time, log start offset.
        wire.at += 16;
        return appended;
      });
    })
    .flat();
  return { throttle_ms: wire.int32(), partitions };
}
