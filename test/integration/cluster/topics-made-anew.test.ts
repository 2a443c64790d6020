import { expect, test } from "bun:test";
import { renameSync } from "node:fs";
import { join } from "node:path";
import { clusterSuite } from "../../support/cluster/cluster-suite.ts";
import {
  appendForeign,
  created,
  health,
  live,
  type OrdersTopic,
  ordersTopic,
  read,
  readable,
  updated,
} from "../../support/cluster/orders-topic.ts";
import { type Program, startProgram } from "../../support/programs/processes.ts";
import { tempDir } from "../../support/stores/temp-dir.ts";
import { waitUntil } from "../../support/wait-until.ts";

const TIMEOUT_MS = 120_000;
const NOTICED_MS_MAX = 10_000;
const SESSION_ENDED_MS_MAX = 30_000;
const OLD = 5;
const LAYOUT = [[1, 2, 3]];

const isHalted = async (url: string) => (await health(url)).status === "halted";

/** The program is halted and says what to do; it answers nothing from either topic and takes nothing. */
async function neitherIsTold(program: Program, orderIds: readonly string[]): Promise<void> {
  for (const orderId of orderIds) {
    expect([orderId, await read(program, orderId)]).toEqual([orderId, "503 PARTITION_HALTED"]);
    expect([orderId, await created(program, orderId)]).toEqual([orderId, "503 PARTITION_HALTED"]);
    expect([orderId, await updated(program, orderId)]).toEqual([orderId, "503 PARTITION_HALTED"]);
  }
  const { http, partitions } = await health(program.orderUrl);
  expect([http, partitions[0]?.state]).toEqual([503, "halted"]);
  expect(partitions[0]?.halted ?? partitions[0]?.reason).toMatch(/.{20}/);
  expect(await live(program)).toEqual([200, 200]);
}

await clusterSuite("topics made anew", (cluster) => {
  test(
    "a topic that is deleted and made anew under its name, with more records or fewer, halts both services, running or stopped meanwhile",
    async () => {
      const topics = (await Promise.all([1, 2, 3].map(() => ordersTopic(cluster(), { layout: LAYOUT })))) as [
        OrdersTopic,
        OrdersTopic,
        OrdersTopic,
      ];
      const [more, fewer, stopped] = topics;
      await using dir = await tempDir();
      await using moreProgram = await startProgram({ env: more.env });
      await using fewerProgram = await startProgram({ env: fewer.env });
      const firstRun = await startProgram({ env: stopped.env, dataDir: dir.path });
      const old = new Map<OrdersTopic, string[]>();
      for (const [orders, program] of [
        [more, moreProgram],
        [fewer, fewerProgram],
        [stopped, firstRun],
      ] as const) {
        await program.ready();
        const ids = Array.from({ length: OLD }, () => orders.newOrder(0));
        old.set(orders, ids);
        for (const orderId of ids) expect(await created(program, orderId)).toBe("200");
        await readable(program, ids.at(-1) as string);
      }
      firstRun.kill("SIGTERM");
      await firstRun.exited();

      await Promise.all(topics.map(({ topic }) => cluster().admin.deleteTopic(topic)));
      // Nothing is answered any more from a topic that no longer exists.
      for (const [orders, program] of [
        [more, moreProgram],
        [fewer, fewerProgram],
      ] as const) {
        const [first] = old.get(orders) as [string];
        await waitUntil(
          "reads to be refused",
          async () => (await read(program, first)).startsWith("503") && (await created(program, first)).startsWith("503"),
          { wait_ms_max: NOTICED_MS_MAX },
        );
        expect(await created(program, orders.newOrder(0))).toMatch(/^503 /);
        expect(await live(program)).toEqual([200, 200]);
      }
      const anew = new Map<OrdersTopic, string[]>();
      for (const [orders, count] of [
        [more, 2 * OLD],
        [fewer, 2],
        [stopped, 2 * OLD],
      ] as const) {
        await cluster().admin.createTopic(orders.topic, LAYOUT);
        const ids = Array.from({ length: count }, () => orders.newOrder(0));
        anew.set(orders, ids);
        for (const orderId of ids) await appendForeign(cluster(), orders, 0, orderId);
      }
      await using secondRun = await startProgram({ env: stopped.env, dataDir: dir.path });
      await secondRun.live();
      for (const [orders, program] of [
        [more, moreProgram],
        [fewer, fewerProgram],
        [stopped, secondRun],
      ] as const) {
        await waitUntil(
          () => `for both services of ${orders.topic} to be halted. The program said:\n${program.output().slice(-2_000)}`,
          async () => (await isHalted(program.cartUrl)) && isHalted(program.orderUrl),
          { wait_ms_max: NOTICED_MS_MAX },
        );
        await neitherIsTold(program, [...(old.get(orders) ?? []), ...(anew.get(orders) ?? [])]);
        expect(await cluster().admin.end(orders.topic, 0)).toBe(anew.get(orders)?.length as number);
      }
      // A person decides to put this state away, so that the new topic is the truth.
      secondRun.kill("SIGTERM");
      await secondRun.exited();
      await using again = await startProgram({ env: stopped.env });
      await again.ready();
      for (const orderId of anew.get(stopped) ?? []) await readable(again, orderId);
      expect(await read(again, old.get(stopped)?.[0] as string)).toBe("404 ORDER_NOT_FOUND");
    },
    TIMEOUT_MS,
  );

  test(
    "one that is deleted while nothing runs is not made by the services, which say where its state is, until that is moved away",
    async () => {
      const orders = await ordersTopic(cluster(), { layout: LAYOUT });
      await using dir = await tempDir();
      const firstRun = await startProgram({ env: orders.env, dataDir: dir.path });
      await firstRun.ready();
      const orderId = orders.newOrder(0);
      expect(await created(firstRun, orderId)).toBe("200");
      await readable(firstRun, orderId);
      firstRun.kill("SIGTERM");
      await firstRun.exited();
      await cluster().admin.deleteTopic(orders.topic);

      const secondRun = await startProgram({ env: orders.env, dataDir: dir.path });
      await secondRun.live();
      for (const url of [secondRun.cartUrl, secondRun.orderUrl]) {
        await waitUntil(
          "health to name the state",
          async () => ((await health(url)).reason ?? "").includes(`${orders.topic} does not exist, and there is state of it in`),
          { wait_ms_max: NOTICED_MS_MAX },
        );
        expect((await health(url)).http).toBe(503);
      }
      expect(await read(secondRun, orderId)).toMatch(/^503 /);
      expect(await created(secondRun, orderId)).toMatch(/^503 /);
      expect(secondRun.output()).not.toContain("Created the topic");
      secondRun.kill("SIGTERM");
      await secondRun.exited();
      renameSync(join(dir.path, "state"), join(dir.path, "state-before"));
      await using again = await startProgram({ env: { ...orders.env, TOPIC_PARTITIONS: "1" }, dataDir: dir.path });
      await again.ready();
      // The group may keep the partition for the first run until that one's session has ended.
      await waitUntil(
        "the order to be unknown",
        async () => {
          const told = await read(again, orderId);
          expect(told).toMatch(/^(404 ORDER_NOT_FOUND|503 .*)$/);
          return told === "404 ORDER_NOT_FOUND";
        },
        { wait_ms_max: SESSION_ENDED_MS_MAX },
      );
    },
    TIMEOUT_MS,
  );
});
