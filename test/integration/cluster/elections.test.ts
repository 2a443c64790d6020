import { expect, test } from "bun:test";
import { readdir, readFile, truncate } from "node:fs/promises";
import { join } from "node:path";
import type { Cluster } from "../../support/cluster/cluster.ts";
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
} from "../../support/cluster/orders-topic.ts";
import { type Program, startProgram } from "../../support/programs/processes.ts";
import { tempDir } from "../../support/stores/temp-dir.ts";
import { waitUntil } from "../../support/wait-until.ts";

const TIMEOUT_MS = 150_000;
const HALTED_MS_MAX = 15_000;
/**
 * The number of orders that one replica alone has, and of those appended after it is gone; the latter are more, so
 * that no offset tells the difference.
 */
const LOST = 10;
const LATER = 25;

const PAIR = [[1, 2]];
const fresh = (orders: OrdersTopic, count: number) => Array.from({ length: count }, () => orders.newOrder(0));

async function acknowledge(program: Program, orderIds: readonly string[]): Promise<void> {
  for (const orderId of orderIds) expect([orderId, await created(program, orderId)]).toEqual([orderId, "200"]);
  await readable(program, orderIds.at(-1) as string);
}

/** Waits until neither of its services says anything more about orders that the log might not confirm. */
async function isHalted(program: Program, lost: readonly string[], later: readonly string[]): Promise<void> {
  await waitUntil(
    () => `for both services to be halted. The program said:\n${program.output().slice(-3_000)}`,
    async () => (await health(program.cartUrl)).status === "halted" && (await health(program.orderUrl)).status === "halted",
    { wait_ms_max: HALTED_MS_MAX },
  );
  for (const url of [program.cartUrl, program.orderUrl]) {
    const { http, partitions } = await health(url);
    expect(http).toBe(503);
    expect(partitions[0]?.halted ?? partitions[0]?.reason).toMatch(/.{20}/);
  }
  for (const orderId of [...lost, ...later]) {
    expect([orderId, await read(program, orderId)]).toEqual([orderId, "503 PARTITION_HALTED"]);
    expect([orderId, await created(program, orderId)]).toEqual([orderId, "503 PARTITION_HALTED"]);
  }
  expect(await live(program)).toEqual([200, 200]);
}

/**
 * Cuts off the last half of the node's first segment of the partition, at the end of a batch, as a power failure may
 * do.
 */
async function loseTail(cluster: Cluster, node: number, topic: string): Promise<void> {
  const dir = cluster.partitionDir(node, topic, 0);
  const segment = join(dir, (await readdir(dir)).find((name) => name.endsWith(".log")) as string);
  const bytes = await readFile(segment);
  const ends: number[] = [];
  for (let at = 0; at + 12 <= bytes.length && bytes.readInt32BE(at + 8) > 0; at += 12 + bytes.readInt32BE(at + 8)) ends.push(at);
  await truncate(segment, ends[ends.length >> 1]);
}

await clusterSuite("elections", (cluster) => {
  test(
    "records that one broker alone had: where an unclean election or a lost tail takes them, both services halt, running or restarted; where none is allowed, they wait and nothing is lost",
    async () => {
      const alone = { "min.insync.replicas": 1 };
      const onThird = { deadLetterLayout: [[3]], deadLetterConfigs: alone };
      const unclean = { ...onThird, layout: PAIR, configs: { ...alone, "unclean.leader.election.enable": true } };
      const [running, stopped, waiting, tail] = await Promise.all([
        ordersTopic(cluster(), unclean),
        ordersTopic(cluster(), unclean),
        ordersTopic(cluster(), { ...unclean, configs: alone }),
        ordersTopic(cluster(), { ...onThird, layout: [[1]], configs: alone }),
      ]);
      await using stoppedDir = await tempDir();
      await using runningProgram = await startProgram({ env: running.env });
      const firstRun = await startProgram({ env: stopped.env, dataDir: stoppedDir.path });
      await using waitingProgram = await startProgram({ env: waiting.env });
      await using tailProgram = await startProgram({ env: tail.env });
      const pairs = [
        [running, runningProgram],
        [stopped, firstRun],
        [waiting, waitingProgram],
        [tail, tailProgram],
      ] as const;
      await Promise.all(pairs.map(([, program]) => program.ready()));
      for (const [orders, program] of pairs) await acknowledge(program, fresh(orders, 5));

      await cluster().kill(2);
      await waitUntil("broker 2 to be out of sync", async () => {
        const states = await Promise.all([running, stopped, waiting].map(({ topic }) => cluster().admin.partitions(topic)));
        return states.flat().every(({ inSync, leader }) => leader === 1 && inSync.length === 1);
      });
      const lost = new Map<OrdersTopic, string[]>();
      for (const [orders, program] of pairs) {
        const ids = fresh(orders, LOST);
        lost.set(orders, ids);
        await acknowledge(program, ids);
      }
      firstRun.kill("SIGTERM");
      await firstRun.exited();
      await cluster().kill(1);
      await loseTail(cluster(), 1, tail.topic);
      await cluster().start(2);
      for (const orders of [running, stopped]) await cluster().admin.leaderBut(orders.topic, 0, 1);

      const later = new Map<OrdersTopic, string[]>();
      const appendLater = async (orders: OrdersTopic) => {
        const ids = fresh(orders, LATER);
        later.set(orders, ids);
        for (const orderId of ids) await appendForeign(cluster(), orders, 0, orderId);
      };
      await Promise.all([running, stopped].map(appendLater));
      await isHalted(runningProgram, lost.get(running) ?? [], later.get(running) ?? []);
      await using secondRun = await startProgram({ env: stopped.env, dataDir: stoppedDir.path });
      await secondRun.live();
      await isHalted(secondRun, lost.get(stopped) ?? [], later.get(stopped) ?? []);

      // There is no leader, since broker 2 may not lead without the records: what was read is answered, nothing is
      // denied and nothing is accepted.
      const known = lost.get(waiting) as string[];
      expect(await cluster().admin.leader(waiting.topic, 0)).toBeUndefined();
      expect(await read(waitingProgram, known[0] as string)).toBe("200");
      const unknown = waiting.newOrder(0);
      expect(await read(waitingProgram, unknown)).toBe("503 LOG_UNAVAILABLE");
      expect(await created(waitingProgram, unknown)).toMatch(/^503 /);
      await cluster().start(1);
      await cluster().admin.leaderBut(tail.topic, 0);
      await appendLater(tail);
      await waitUntil("a create where the only complete replica is back", async () =>
        /^(200|409 .*)$/.test(await created(waitingProgram, unknown)),
      );
      for (const orderId of known) await readable(waitingProgram, orderId);
      await waitingProgram.ready();
      await isHalted(tailProgram, (lost.get(tail) ?? []).slice(-2), later.get(tail) ?? []);
    },
    TIMEOUT_MS,
  );
});
