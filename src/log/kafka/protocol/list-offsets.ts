import type { Exchange } from "../connection/cluster.ts";
import type { Isolation } from "../../port.ts";
import { WireReader, WireWriter } from "./wire.ts";

export const TIMESTAMP_EARLIEST = -2;
export const TIMESTAMP_LATEST = -1;

export interface ListedOffset {
  readonly partition: number;
  readonly errorCode: number;
  /** −1 if no record is as late as was asked for. */
  readonly offset: number;
}

export interface PartitionAt {
  readonly partition: number;
  /** The epoch that the caller takes for the leader's; a leader with another one refuses (KIP-320). −1: not known. */
  readonly leaderEpoch: number;
}

const VERSION_MAX = 5;
const VERSION_EPOCHS_MIN = 4;

/** ListOffsets, versions 2 to 5: https://kafka.apache.org/protocol#The_Messages_ListOffsets */
export function listOffsetsExchange(
  topic: string,
  partitions: readonly PartitionAt[],
  { timestamp_ms, isolation }: { readonly timestamp_ms: number; readonly isolation: Isolation },
  brokersMax: number,
  timeout_ms: number,
): Exchange<ListedOffset[]> {
  const version = Math.min(VERSION_MAX, brokersMax);
  const hasEpochs = version >= VERSION_EPOCHS_MIN;
  return {
    request: {
      apiKey: 2,
      apiVersion: version,
      apiName: "ListOffsets",
      encode: async () => {
        const out = new WireWriter().int32(-1).int8(isolation === "committed" ? 1 : 0);
        out.int32(1).string(topic);
        out.array(partitions, ({ partition, leaderEpoch }) => {
          out.int32(partition);
          if (hasEpochs) out.int32(leaderEpoch);
          out.int64(timestamp_ms);
        });
        return out.done();
      },
    },
    response: {
      decode: async (payload) => {
        const wire = new WireReader(payload);
        wire.int32();
        return wire
          .array(() => {
            wire.string();
            return wire.array((): ListedOffset => {
              const partition = wire.int32();
              const errorCode = wire.int16();
              wire.int64();
              const offset = wire.int64();
              if (hasEpochs) wire.int32();
              return { partition, errorCode, offset };
            });
          })
          .flat();
      },
      parse: async (offsets) => offsets,
    },
    requestTimeout: timeout_ms,
  };
}
