import { expect, test } from "bun:test";
import type { Cluster } from "../../support/cluster/cluster.ts";
import { clusterSuite } from "../../support/cluster/cluster-suite.ts";
import { CreateLoad } from "../../support/cluster/create-load.ts";
import {
  appendForeign,
  created,
  health,
  live,
  type OrdersTopic,
  ordersTopic,
  read,
  readable,
  spread,
  updated,
} from "../../support/cluster/orders-topic.ts";
import { type Program, startProgram } from "../../support/programs/processes.ts";
import { waitUntil } from "../../support/wait-until.ts";

const TIMEOUT_MS = 120_000;
/** The promise: reading and writing are back this long after a new leader is there. */
const BACK_MS_MAX = 5_000;
const PARTITIONS = 3;

/**
 * Reading and writing work in the partition, seen from outside: a foreign record is read and known to the cart, and
 * creates are taken.
 */
async function isBack(
  cluster: Cluster,
  orders: OrdersTopic,
  program: Program,
  load: CreateLoad,
  partition: number,
): Promise<void> {
  const from_ms = performance.now();
  const foreign = orders.newOrder(partition);
  const bounded = { wait_ms_max: BACK_MS_MAX };
  const within = (what: string, probe: () => Promise<boolean> | boolean) =>
    waitUntil(`partition ${partition}, within ${BACK_MS_MAX} ms of its new leader: ${what}`, probe, bounded);
  await Promise.all([
    within("a create is acknowledged", () => load.firstAfter(partition, from_ms) !== undefined),
    appendForeign(cluster, orders, partition, foreign).then(() =>
      Promise.all([
        within("what another program appended is read", async () => (await read(program, foreign)) === "200"),
        within("and can be updated through the cart", async () => (await updated(program, foreign)) === "200"),
      ]),
    ),
  ]);
}

/** Every order that was acknowledged is there, and none was denied or created twice. */
async function nothingIsLost(program: Program, load: CreateLoad): Promise<void> {
  expect(load.acknowledged.length).toBeGreaterThan(50);
  for (const { orderId } of load.acknowledged) await readable(program, orderId);
  expect(Object.keys(load.counts()).filter((code) => !/^(200|503 .*)$/.test(code))).toEqual([]);
  const again = load.acknowledged.slice(-20).map(({ orderId }) => created(program, orderId));
  expect(new Set(await Promise.all(again))).toEqual(new Set(["409 ORDER_EXISTS"]));
}

await clusterSuite("leaders fail under load", (cluster) => {
  test(
    "a leader is killed, and then another one: reading and writing are back within 5 s of a new leader, nothing acknowledged is lost",
    async () => {
      const orders = await ordersTopic(cluster(), { layout: spread(PARTITIONS) });
      await using program = await startProgram({ env: orders.env });
      await program.ready();
      await using load = new CreateLoad(program, orders, 2);
      for (const node of [1, 2]) {
        await Bun.sleep(1_000);
        const led = (await cluster().admin.partitions(orders.topic)).flatMap(({ leader }, i) => (leader === node ? [i] : []));
        expect(led).not.toEqual([]);
        await cluster().kill(node);
        await Promise.all(
          led.map(async (partition) => {
            await cluster().admin.leaderBut(orders.topic, partition, node);
            await isBack(cluster(), orders, program, load, partition);
          }),
        );
        expect(await live(program)).toEqual([200, 200]);
        await cluster().start(node);
        await cluster().heal();
      }
      await load.end();
      await nothingIsLost(program, load);
    },
    TIMEOUT_MS,
  );

  test(
    "a leader stands still with its connections open: reading and writing are back within 5 s of a new leader, also when it goes on",
    async () => {
      const orders = await ordersTopic(cluster(), { layout: spread(PARTITIONS) });
      await using program = await startProgram({ env: orders.env });
      await program.ready();
      await using load = new CreateLoad(program, orders, 2);
      await Bun.sleep(1_000);
      const node = 3;
      const led = (await cluster().admin.partitions(orders.topic)).flatMap(({ leader }, i) => (leader === node ? [i] : []));
      expect(led).not.toEqual([]);
      cluster().pause(node);
      await Promise.all(
        led.map(async (partition) => {
          await cluster().admin.leaderBut(orders.topic, partition, node);
          await isBack(cluster(), orders, program, load, partition);
        }),
      );
      cluster().resume(node);
      await cluster().heal();
      for (const partition of led) await isBack(cluster(), orders, program, load, partition);
      await load.end();
      await nothingIsLost(program, load);
    },
    TIMEOUT_MS,
  );

  test(
    "a broker's connections are cut and refused for a second or three: what is over is over within 5 s, for each partition",
    async () => {
      const orders = await ordersTopic(cluster(), { layout: spread(PARTITIONS), brokers: cluster().proxied });
      await using program = await startProgram({ env: orders.env });
      await program.ready();
      await using load = new CreateLoad(program, orders, 2);
      for (const refused_ms of [1_000, 3_000]) {
        const proxy = cluster().proxies.get(2);
        proxy?.refuse();
        await Bun.sleep(refused_ms);
        proxy?.pass();
        await Promise.all(
          Array.from({ length: PARTITIONS }, (_, partition) => isBack(cluster(), orders, program, load, partition)),
        );
      }
      await program.ready();
      await load.end();
      await nothingIsLost(program, load);
    },
    TIMEOUT_MS,
  );

  test(
    "with two of three brokers away nothing is acknowledged, nothing that is known is denied, and all goes on when they are back",
    async () => {
      const orders = await ordersTopic(cluster(), { layout: spread(PARTITIONS) });
      await using program = await startProgram({ env: orders.env });
      await program.ready();
      const known = Array.from({ length: PARTITIONS }, (_, partition) => orders.newOrder(partition));
      for (const orderId of known) expect(await created(program, orderId)).toBe("200");
      for (const orderId of known) await readable(program, orderId);
      await Promise.all([cluster().kill(1), cluster().kill(2)]);
      await waitUntil("the controller to notice", async () => (await cluster().admin.liveNodes()).length === 1);
      const answers = await Promise.all(known.map((_, partition) => created(program, orders.newOrder(partition))));
      expect(answers.filter((code) => !code.startsWith("503 "))).toEqual([]);
      // A new leader may not say yet how far it is; what was read is then in doubt, and not denied.
      const denied = (await Promise.all(known.map((orderId) => read(program, orderId)))).filter((code) => code.startsWith("404"));
      expect(denied).toEqual([]);
      expect(await live(program)).toEqual([200, 200]);
      const away = [1, 2].map((node) => cluster().brokers.split(",")[node - 1] as string);
      for (const url of [program.cartUrl, program.orderUrl]) {
        let reason = "";
        await waitUntil(
          () => `for both brokers that are away to be named; it was said: ${reason}`,
          async () => {
            reason = (await health(url)).reason ?? "";
            return away.every((address) => reason.includes(address));
          },
        );
        expect(reason).not.toContain("replication.factor");
      }
      expect(program.output()).not.toContain("replication.factor");
      await cluster().heal();
      for (const partition of known.keys())
        await waitUntil("creates again", async () => (await created(program, orders.newOrder(partition))) === "200", {
          wait_ms_max: BACK_MS_MAX,
        });
      await program.ready();
    },
    TIMEOUT_MS,
  );
});
