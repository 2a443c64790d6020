import type { Exchange } from "../connection/cluster.ts";
import { WireReader, WireWriter } from "./wire.ts";

export interface TopicToCreate {
  readonly topic: string;
  readonly partitions: number;
  /** −1 for the broker's default (KIP-464). */
  readonly replicas: number;
  readonly settings: Readonly<Record<string, string>>;
}

export interface Refusal {
  readonly errorCode: number;
  readonly message: string | null;
}

/** The first version that accepts the broker's default replication. */
export const CREATE_TOPICS_DEFAULTS_VERSION_MIN = 4;
const CREATE_VERSION_MAX = 4;

/** CreateTopics, versions 2 to 4: https://kafka.apache.org/protocol#The_Messages_CreateTopics */
export function createTopicExchange(topic: TopicToCreate, brokersMax: number, timeout_ms: number): Exchange<Refusal> {
  return {
    request: {
      apiKey: 19,
      apiVersion: Math.min(CREATE_VERSION_MAX, brokersMax),
      apiName: "CreateTopics",
      encode: async () => {
        const out = new WireWriter().int32(1).string(topic.topic).int32(topic.partitions).int16(topic.replicas).int32(0);
        out.array(Object.entries(topic.settings), ([name, value]) => out.string(name).string(value));
        return out.int32(timeout_ms).int8(0).done();
      },
    },
    response: {
      decode: async (payload) => {
        const wire = new WireReader(payload);
        wire.int32();
        const [refusal] = wire.array(() => {
          wire.string();
          return { errorCode: wire.int16(), message: wire.string() };
        });
        return refusal ?? { errorCode: -1, message: "the broker did not answer for the topic" };
      },
      parse: async (refusal) => refusal,
    },
    requestTimeout: timeout_ms,
  };
}

const RESOURCE_TOPIC = 2;

/**
 * DescribeConfigs, version 1, for the topic's settings by name:
 * https://kafka.apache.org/protocol#The_Messages_DescribeConfigs
 */
export function describeTopicExchange(
  topic: string,
  timeout_ms: number,
): Exchange<{ readonly errorCode: number; readonly settings: Readonly<Record<string, string>> }> {
  return {
    request: {
      apiKey: 32,
      apiVersion: 1,
      apiName: "DescribeConfigs",
      encode: async () => new WireWriter().int32(1).int8(RESOURCE_TOPIC).string(topic).int32(-1).int8(0).done(),
    },
    response: {
      decode: async (payload) => {
        const wire = new WireReader(payload);
        wire.int32();
        const [described] = wire.array(() => {
          const errorCode = wire.int16();
          wire.string();
          wire.int8();
          wire.string();
          const settings: Record<string, string> = {};
          wire.array(() => {
            const name = wire.string() ?? "";
            const value = wire.string();
            // Read-only, source, sensitive, synonyms.
            wire.at += 3;
            wire.array(() => {
              wire.string();
              wire.string();
              wire.int8();
            });
            if (value !== null) settings[name] = value;
          });
          return { errorCode, settings };
        });
        return described ?? { errorCode: -1, settings: {} };
      },
      parse: async (described) => described,
    },
    requestTimeout: timeout_ms,
  };
}

const OPERATION_SET = 0;

/**
 * IncrementalAlterConfigs, version 0 (KIP-339): sets one setting of a topic and leaves the others alone. Resolves with
 * the error code.
 */
export function setTopicSettingExchange(topic: string, name: string, value: string, timeout_ms: number): Exchange<number> {
  return {
    request: {
      apiKey: 44,
      apiVersion: 0,
      apiName: "IncrementalAlterConfigs",
      encode: async () => {
        const out = new WireWriter().int32(1).int8(RESOURCE_TOPIC).string(topic).int32(1);
        return out.string(name).int8(OPERATION_SET).string(value).int8(0).done();
      },
    },
    response: {
      decode: async (payload) => {
        const wire = new WireReader(payload);
        wire.int32();
        return wire.array(() => wire.int16())[0] ?? -1;
      },
      parse: async (errorCode) => errorCode,
    },
    requestTimeout: timeout_ms,
  };
}
