import type { FetchLimits, Isolation } from "../../port.ts";
import { FETCHED_BYTES_MAX } from "../connection/answer-buffers.ts";
import type { Exchange } from "../connection/cluster.ts";
import type { AbortedTransaction } from "../records/record-batch.ts";
import { WireReader, WireWriter } from "./wire.ts";

export const REQUEST_SLACK_MS = 3_000;
const ISOLATION = { uncommitted: 0, committed: 1 } as const;

export interface WantedPartition {
  readonly partition: number;
  readonly offset: number;
  readonly leaderEpoch: number;
}

export interface PartitionAnswer {
  readonly partition: number;
  readonly errorCode: number;
  readonly highWatermark: number;
  /** Negative if uncommitted records were asked for. */
  readonly stableOffset: number;
  /** In ascending order of `firstOffset`. */
  readonly aborted: readonly AbortedTransaction[];
  /** Record batches; the last one may be cut off. */
  readonly bytes: Buffer;
}

export interface FetchAnswer {
  readonly throttle_ms: number;
  readonly errorCode: number;
  readonly partitions: readonly PartitionAnswer[];
  /** All of the answer; the partitions' bytes are views on it. */
  readonly payload: Buffer;
}

/** Fetch, version 11: https://kafka.apache.org/protocol#The_Messages_Fetch */
export function fetchExchange(
  topic: string,
  wanted: readonly WantedPartition[],
  limits: FetchLimits,
  isolation: Isolation,
): Exchange<FetchAnswer> {
  return {
    request: {
      apiKey: 1,
      apiVersion: 11,
      apiName: "Fetch",
      encode: async () => {
        const out = new WireWriter().int32(-1).int32(limits.wait_ms_max).int32(1).int32(FETCHED_BYTES_MAX);
        out.int8(ISOLATION[isolation]);
        // No session (KIP-227).
        out.int32(0).int32(-1).int32(1).string(topic);
        out.array(wanted, ({ partition, offset, leaderEpoch }) => {
          out.int32(partition).int32(leaderEpoch).int64(offset).int64(-1).int32(limits.partition_bytes_max);
        });
        return out.int32(0).string("").done();
      },
    },
    response: { decode: async (payload) => decode(payload), parse: async (answer) => answer },
    requestTimeout: limits.wait_ms_max + REQUEST_SLACK_MS,
  };
}

function decode(payload: Buffer): FetchAnswer {
  const wire = new WireReader(payload);
  const throttle_ms = wire.int32();
  const errorCode = wire.int16();
  wire.int32();
  const partitions = wire
    .array(() => {
      wire.string();
      return wire.array((): PartitionAnswer => {
        const partition = wire.int32();
        const partitionError = wire.int16();
        const highWatermark = wire.int64();
        const stableOffset = wire.int64();
        // Log start offset.
        wire.at += 8;
        const aborted = wire.array((): AbortedTransaction => ({ producerId: wire.int64(), firstOffset: wire.int64() }));
        aborted.sort((a, b) => a.firstOffset - b.firstOffset);
        wire.int32();
        return { partition, errorCode: partitionError, highWatermark, stableOffset, aborted, bytes: wire.bytes() };
      });
    })
    .flat();
  return { throttle_ms, errorCode, partitions, payload };
}
