import { AnswerBuffers } from "../../../src/log/kafka/connection/answer-buffers.ts";
import type { Exchange } from "../../../src/log/kafka/connection/cluster.ts";
import type { Connections } from "../../../src/log/kafka/connection/connections.ts";

/** Answers a request that is sent to this broker. */
export type Answer = (nodeId: number, exchange: Exchange<unknown>) => Promise<unknown>;

/** Connections to brokers that are not there: the topic `t` has these leaders, and `answer` says what they answer. */
export function fakeLeaders(leaders: readonly number[], answer: Answer): Connections {
  const nodeOf = (nodeId: number) => ({
    name: `broker ${nodeId}`,
    heldBackUntil_ms: Number.NEGATIVE_INFINITY,
    nodeId,
    answers: new AnswerBuffers(),
    send: (exchange: Exchange<unknown>) => answer(nodeId, exchange),
    broker: async () => ({
      findGroupCoordinator: async () => ({ coordinator: { nodeId: 1 } }),
      initProducerId: async () => ({ producerId: "7", producerEpoch: 0 }),
      addPartitionsToTxn: async () => undefined,
      endTxn: async () => undefined,
    }),
  });
  const nodes = new Map(leaders.map((nodeId) => [nodeId, nodeOf(nodeId)]));
  const partitions = leaders.map((leader, partition) => ({ partition, leader, leaderEpoch: 1, replicas: 1 }));
  return {
    reach: { withUnreachable: (why: string) => why, unreachable: () => "" },
    metadata: async () => ({
      controllerId: 1,
      brokers: [...nodes.keys()],
      clusterId: null,
      topics: [{ topic: "t", topicId: "id", errorCode: 0, partitions }],
    }),
    node: async (nodeId: number) => nodes.get(nodeId),
    nodeAt: async ({ nodeId }: { nodeId: number }) => nodes.get(nodeId),
    any: async (ask: (node: unknown) => Promise<unknown>) => ask(nodes.values().next().value),
    discard: () => undefined,
    close: () => undefined,
  } as unknown as Connections;
}
