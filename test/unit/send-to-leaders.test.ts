import { expect, test } from "bun:test";
import type { Cluster } from "../../src/log/kafka/cluster.ts";
import { type ProduceAnswer, sendToLeaders } from "../../src/log/kafka/produce.ts";

const batch = (partition: number) => ({ partition, bytes: Buffer.alloc(1) });
const answer = (partition: number): ProduceAnswer => ({ partition, errorCode: 0, baseOffset: partition * 10 });

/** Partition n is led by broker n; what each broker's send does is given. */
function clusterOf(sends: readonly (() => Promise<ProduceAnswer[]>)[]): Cluster {
  return {
    addTargetTopic: async () => undefined,
    refreshMetadata: async () => undefined,
    findTopicPartitionMetadata: () => sends.map((_, leader) => ({ partitionId: leader, leader })),
    findBroker: async ({ nodeId }: { nodeId: string }) => ({ connectionPool: { send: () => sends[Number(nodeId)]?.() } }),
  } as unknown as Cluster;
}

test("a leader that fails is told only when no send to another is under way: the batches' bytes are used again afterwards", async () => {
  const slow = Promise.withResolvers<ProduceAnswer[]>();
  const cluster = clusterOf([() => Promise.reject(new Error("connection lost")), () => slow.promise]);
  let told: unknown;
  const sending = sendToLeaders(cluster, "orders", [batch(0), batch(1)], undefined).catch((e: unknown) => (told = e));
  await Bun.sleep(20);
  expect(told).toBeUndefined();
  slow.resolve([answer(1)]);
  await sending;
  expect(String(told)).toContain("connection lost");
});

test("the answers of all leaders come together", async () => {
  const cluster = clusterOf([async () => [answer(0)], async () => [answer(1)]]);
  expect(await sendToLeaders(cluster, "orders", [batch(1), batch(0)], undefined)).toEqual([answer(1), answer(0)]);
});
