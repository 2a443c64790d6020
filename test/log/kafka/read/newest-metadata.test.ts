import { expect, test } from "bun:test";
import type { Connections } from "../../../../src/log/kafka/connection/connections.ts";
import { TopicLeaders } from "../../../../src/log/kafka/connection/leaders.ts";
import { endOffsets } from "../../../../src/log/kafka/read/partition-ends.ts";
import { systemClock } from "../../../../src/system/clock.ts";

/** The one partition of `t` ends at 10 for broker 1, which led it before, and at 11 for broker 2. */
const ENDS = [0, 10, 11];

test("an end rests on metadata that were asked for after the question, not on those that were on their way", async () => {
  let leader = 1;
  let arriving = Promise.resolve();
  const connections = {
    reach: { withUnreachable: (why: string) => why },
    // The broker makes its answer up at once, which is only slow to arrive.
    metadata: async () => {
      const partitions = [{ partition: 0, leader, leaderEpoch: leader, replicas: 2 }];
      await arriving;
      return {
        controllerId: 1,
        brokers: [1, 2],
        clusterId: null,
        topics: [{ topic: "t", topicId: "id", errorCode: 0, partitions }],
      };
    },
    node: async (nodeId: number) => ({
      name: `broker ${nodeId}`,
      version: async () => 5,
      heldBackUntil_ms: 0,
      send: async () => [{ partition: 0, errorCode: 0, offset: ENDS[nodeId] }],
    }),
    discard: () => undefined,
  } as unknown as Connections;
  const leaders = new TopicLeaders(connections, "t", systemClock);
  await leaders.refresh();
  const context = { connections, leaders, topic: "t" };
  const ask = () => endOffsets(context, undefined, "uncommitted");
  const slow = Promise.withResolvers<void>();
  arriving = slow.promise;
  const first = ask();
  // Broker 2 leads now, and has acknowledged a create.
  leader = 2;
  arriving = Promise.resolve();
  const second = ask();
  slow.resolve();
  await first;
  expect(await (await second).partitions[0]).toMatchObject({ endOffset: 11 });
});
