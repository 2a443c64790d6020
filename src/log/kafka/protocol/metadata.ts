import type { Exchange } from "../connection/cluster.ts";
import { WireReader, WireWriter } from "./wire.ts";

export interface NodeAddress {
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
}

export interface PartitionMetadata {
  readonly partition: number;
  /** −1 while there is none. */
  readonly leader: number;
  /** Grows with every change of leader; −1 if the broker does not tell. */
  readonly leaderEpoch: number;
  readonly replicas: number;
}

export interface TopicMetadata {
  readonly topic: string;
  /** 32 hexadecimal digits; undefined if the broker has no topic ids (KIP-516). */
  readonly topicId: string | undefined;
  readonly errorCode: number;
  /**
   * What this user may do with the topic, one bit for each operation; undefined if that was not asked or is not told
   * (KIP-430).
   */
  readonly operations: number | undefined;
  /** In ascending order of the number. */
  readonly partitions: readonly PartitionMetadata[];
}

export interface Metadata {
  readonly brokers: readonly NodeAddress[];
  readonly clusterId: string | null;
  readonly controllerId: number;
  readonly topics: readonly TopicMetadata[];
}

/** Version 7 is the first with leader epochs, 9 the first flexible one, and 10 the first with topic ids. */
const VERSION_MAX = 12;
const VERSION_PLAIN_MAX = 8;
const VERSION_EPOCHS_MIN = 7;
const VERSION_TOPIC_IDS_MIN = 10;
const VERSION_OPERATIONS_MIN = 8;
/** The answer if the operations were not asked for or are not known. */
const NO_OPERATIONS = -(2 ** 31);
const NO_TOPIC_ID = "0".repeat(32);

/**
 * Metadata of the named topics only (of none if none is named), versions 5 to 12:
 * https://kafka.apache.org/protocol#The_Messages_Metadata
 */
export function metadataExchange(
  topics: readonly string[],
  brokersMax: number,
  timeout_ms: number,
  withOperations = false,
): Exchange<Metadata> {
  const version = Math.min(VERSION_MAX, brokersMax);
  const isFlexible = version > VERSION_PLAIN_MAX;
  return {
    request: {
      apiKey: 3,
      apiVersion: version,
      apiName: "Metadata",
      encode: async () => {
        const out = new WireWriter();
        if (isFlexible) {
          // The tagged fields of a flexible request's header come before its body.
          out.noTags().compactArray(topics, (topic) => {
            if (version >= VERSION_TOPIC_IDS_MIN) out.uuid(Buffer.alloc(16));
            out.compactString(topic).noTags();
          });
        } else {
          out.array(topics, (topic) => out.string(topic));
        }
        // Asking for a topic must not create it.
        out.int8(0);
        if (version >= VERSION_OPERATIONS_MIN) {
          if (version <= 10) out.int8(0);
          out.int8(withOperations ? 1 : 0);
        }
        if (isFlexible) out.noTags();
        return out.done();
      },
    },
    response: { decode: async (payload) => decode(payload, version), parse: async (metadata) => metadata },
    requestTimeout: timeout_ms,
  };
}

function decode(payload: Buffer, version: number): Metadata {
  const isFlexible = version > VERSION_PLAIN_MAX;
  const wire = new WireReader(payload);
  const tags = () => isFlexible && wire.skipTags();
  const text = () => (isFlexible ? wire.compactString() : wire.string());
  const list = <T>(read: () => T): T[] => (isFlexible ? wire.compactArray(read) : wire.array(read));
  tags();
  // The throttle time is ignored, since metadata are seldom asked for.
  wire.int32();
  const brokers = list(() => {
    const nodeId = wire.int32();
    const host = text() ?? "";
    const port = wire.int32();
    text();
    tags();
    return { nodeId, host, port };
  });
  const clusterId = text();
  const controllerId = wire.int32();
  const topics = list((): TopicMetadata => {
    const errorCode = wire.int16();
    const topic = text() ?? "";
    const id = version >= VERSION_TOPIC_IDS_MIN ? wire.uuid() : NO_TOPIC_ID;
    wire.boolean();
    const partitions = list((): PartitionMetadata => {
      wire.int16();
      const partition = wire.int32();
      const leader = wire.int32();
      const leaderEpoch = version >= VERSION_EPOCHS_MIN ? wire.int32() : -1;
      const replicas = list(() => wire.int32()).length;
      list(() => wire.int32());
      list(() => wire.int32());
      tags();
      return { partition, leader, leaderEpoch, replicas };
    });
    const told = version >= VERSION_OPERATIONS_MIN ? wire.int32() : NO_OPERATIONS;
    tags();
    partitions.sort((a, b) => a.partition - b.partition);
    const operations = told === NO_OPERATIONS ? undefined : told;
    return { topic, topicId: id === NO_TOPIC_ID ? undefined : id, errorCode, operations, partitions };
  });
  return { brokers, clusterId, controllerId, topics };
}
