import { expect, test } from "bun:test";
import type { PartitionAssigner } from "kafkajs";
import type { Cluster } from "../../support/cluster/cluster.ts";
import { clusterSuite } from "../../support/cluster/cluster-suite.ts";
import {
  appendForeign,
  created,
  health,
  live,
  type OrdersTopic,
  ordersTopic,
  readable,
  spread,
  warnings,
} from "../../support/cluster/orders-topic.ts";
import { foreignClient } from "../../support/brokers/foreign.ts";
import { startProgram } from "../../support/programs/processes.ts";
import { waitUntil } from "../../support/wait-until.ts";

const TIMEOUT_MS = 90_000;
const SHARED_MS_MAX = 15_000;
/** How soon the others get back a leaving member's partitions; a session would take 6 s. */
const LEFT_MS_MAX = 4_000;

/** Another program's member of a group, whose assignor has a name that ours does not know. */
async function strangersConsumer(cluster: Cluster, topic: string, groupId: string) {
  const assigner: PartitionAssigner = () => ({
    name: "somebody-elses",
    version: 0,
    assign: async ({ members }) =>
      members.map(({ memberId }) => ({ memberId, memberAssignment: Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0]) })),
    protocol: () => ({ name: "somebody-elses", metadata: Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0]) }),
  });
  const consumer = foreignClient(cluster.brokers).consumer({ groupId, partitionAssigners: [assigner], sessionTimeout: 10_000 });
  const joined = new Promise<void>((resolve) => consumer.on("consumer.group_join", () => resolve()));
  await consumer.connect();
  await consumer.subscribe({ topic });
  await consumer.run({ eachMessage: async () => undefined });
  await joined;
  return { [Symbol.asyncDispose]: () => consumer.disconnect(), leave: () => consumer.disconnect() };
}

const running = async (url: string) => (await health(url)).partitions.filter(({ state }) => state === "running").length;

const groupOf = ({ env }: OrdersTopic) => env["CONSUMER_GROUP"] as string;

await clusterSuite("groups", (cluster) => {
  test(
    "a group that another program's protocol holds: the cause is said until it has left, then the group is joined; the default group is nobody else's",
    async () => {
      const orders = await ordersTopic(cluster(), { layout: spread(3) });
      await using stranger = await strangersConsumer(cluster(), orders.topic, groupOf(orders));
      await using predecessor = await strangersConsumer(cluster(), orders.topic, "order-service");
      await using kept = await startProgram({ role: "consumer", env: orders.env });
      const { CONSUMER_GROUP: _, ...withoutGroup } = orders.env as Record<string, string>;
      await using usual = await startProgram({ role: "consumer", env: withoutGroup });
      await kept.live();
      await usual.ready();
      await waitUntil("the cause in health", async () => /protocol/i.test((await health(kept.orderUrl)).reason ?? ""), {
        wait_ms_max: SHARED_MS_MAX,
      });
      expect(warnings(kept).join("\n")).toMatch(/INCONSISTENT_GROUP_PROTOCOL|protocol/i);
      expect((await health(kept.orderUrl)).http).toBe(503);
      const response = await fetch(`${kept.orderUrl}/health/live`);
      expect(response.status).toBe(200);
      await stranger.leave();
      await kept.ready(SHARED_MS_MAX);
      void predecessor;
    },
    TIMEOUT_MS,
  );

  test(
    "members of one group with different topics share nothing: each has all partitions of its own",
    async () => {
      const [one, other] = await Promise.all([
        ordersTopic(cluster(), { layout: spread(6) }),
        ordersTopic(cluster(), { layout: spread(3) }),
      ]);
      const env = { ...other.env, CONSUMER_GROUP: groupOf(one) };
      await using first = await startProgram({ env: one.env });
      await first.ready();
      await using second = await startProgram({ env });
      await second.ready();
      await waitUntil(
        "both to hold all of their topics",
        async () => (await running(first.orderUrl)) === 6 && (await running(second.orderUrl)) === 3,
        { wait_ms_max: SHARED_MS_MAX },
      );
      for (const [orders, program] of [
        [one, first],
        [other, second],
      ] as const) {
        for (let partition = 0; partition < orders.partitions; partition++) {
          const orderId = orders.newOrder(partition);
          expect(await created(program, orderId)).toBe("200");
          await readable(program, orderId);
        }
        expect(await live(program)).toEqual([200, 200]);
      }
    },
    TIMEOUT_MS,
  );

  test(
    "SIGTERM at any moment of joining: the one that stays has all partitions at once, not only after a session",
    async () => {
      const orders = await ordersTopic(cluster(), { layout: spread(12) });
      await using stays = await startProgram({ role: "consumer", env: { ...orders.env, SESSION_TIMEOUT_MS: "12000" } });
      await stays.ready();
      for (const after_ms of [300, 450, 600, 800, 1_000, 1_300]) {
        const env = { ...orders.env, SESSION_TIMEOUT_MS: "12000", GROUP_LEAVE: "always" };
        await using leaves = await startProgram({ role: "consumer", env });
        await Bun.sleep(after_ms);
        leaves.kill("SIGTERM");
        await leaves.exited();
        const left_ms = performance.now();
        // All that the leaving member had been given comes back, and stays.
        let whole_ms = Number.NaN;
        for (; performance.now() < left_ms + LEFT_MS_MAX; await Bun.sleep(50)) {
          const isWhole = (await running(stays.orderUrl)) === orders.partitions;
          if (!isWhole) whole_ms = Number.NaN;
          else if (Number.isNaN(whole_ms)) whole_ms = performance.now();
          else if (performance.now() > whole_ms + 1_500) break;
        }
        expect([after_ms, await running(stays.orderUrl)]).toEqual([after_ms, orders.partitions]);
      }
      const orderId = orders.newOrder(0);
      await appendForeign(cluster(), orders, 0, orderId);
      await readable(stays, orderId);
    },
    TIMEOUT_MS,
  );
});
