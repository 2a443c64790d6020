import { expect, test } from "bun:test";
import type { Cluster } from "../../support/cluster/cluster.ts";
import { clusterSuite } from "../../support/cluster/cluster-suite.ts";
import { headerOf, letterCount, lettersByOrigin } from "../../support/cluster/letters.ts";
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
} from "../../support/cluster/orders-topic.ts";
import { type Program, startProgram } from "../../support/programs/processes.ts";
import { waitUntil } from "../../support/wait-until.ts";

const TIMEOUT_MS = 90_000;
const BEHIND_MS_MAX = 12_000;
const LETTER_BYTES_MAX = 20_000;

const poison = (cluster: Cluster, orders: OrdersTopic, partition: number, value: string | Buffer = "no event") =>
  cluster.admin.produce(orders.topic, partition, [{ key: "x", value }]);

async function behind(cluster: Cluster, orders: OrdersTopic, program: Program, partition: number): Promise<void> {
  const orderId = orders.newOrder(partition);
  await appendForeign(cluster, orders, partition, orderId);
  await readable(program, orderId, BEHIND_MS_MAX);
}

/** Partition 0 waits for its letter, says so and denies nothing; partition 1 does not mind. */
async function isBlocked(program: Program, orders: OrdersTopic): Promise<void> {
  await waitUntil(
    () => `for partition 0 to be blocked. The program said:\n${program.output().slice(-2_000)}`,
    async () => (await health(program.orderUrl)).status === "blocked",
    { wait_ms_max: BEHIND_MS_MAX },
  );
  const { http, partitions } = await health(program.orderUrl);
  expect([http, ...partitions.map(({ state }) => state)]).toEqual([503, "blocked", "running"]);
  expect(partitions[0]?.reason).toMatch(/.{20}/);
  expect(await read(program, orders.newOrder(0))).toBe("503 PARTITION_BLOCKED");
  const elsewhere = orders.newOrder(1);
  expect(await created(program, elsewhere)).toBe("200");
  await readable(program, elsewhere);
  expect(await live(program)).toEqual([200, 200]);
}

await clusterSuite("dead letters that are not taken", (cluster) => {
  test(
    "a dead-letter topic made for small letters takes large ones cut, which say so, and many small ones in pieces",
    async () => {
      const orders = await ordersTopic(cluster(), {
        layout: spread(2),
        deadLetterConfigs: { "max.message.bytes": LETTER_BYTES_MAX },
      });
      await using program = await startProgram({ env: orders.env });
      await program.ready();
      const large = await poison(cluster(), orders, 0, Buffer.alloc(200_000, "x"));
      // A letter for one of these is mostly its headers.
      const headers = Array.from({ length: 50 }, (_, n) => [`header-${n}`, "y".repeat(50)] as const);
      const small = Array.from({ length: 300 }, () => ({ key: "x", value: "z", headers }));
      const first = await cluster().admin.produce(orders.topic, 1, small);
      const fat = await cluster().admin.produce(orders.topic, 1, [
        { key: "x".repeat(30_000), value: "z", headers: [["fat", "f".repeat(30_000)]] },
      ]);
      for (const partition of [0, 1]) await behind(cluster(), orders, program, partition);
      const letters = await lettersByOrigin(cluster(), orders);
      const origins = [`0:${large}`, ...small.map((_, n) => `1:${first + n}`), `1:${fat}`];
      expect(origins.filter((origin) => letters.get(origin)?.length !== 1)).toEqual([]);
      expect(letters.size).toBe(origins.length);
      for (const origin of [`0:${large}`, `1:${fat}`]) {
        const [letter] = letters.get(origin) ?? [];
        expect(letter?.headers.map((header) => header.join(": ")).join("\n")).toMatch(/x-dead-letter.*\bcut\b/);
      }
      expect(String(letters.get(`0:${large}`)?.[0]?.value)).toMatch(/^x{1000,}/);
      await program.ready();
    },
    TIMEOUT_MS,
  );

  test(
    "a dead-letter topic that takes nothing now blocks the partition of a poison, until it does; one that is deleted is waited for or made again",
    async () => {
      const orders = await ordersTopic(cluster(), { layout: spread(2), deadLetterConfigs: { "min.insync.replicas": 3 } });
      await using program = await startProgram({ env: orders.env });
      await program.ready();
      // One replica of three is away: two are enough for the orders topic, but not for the dead-letter topic.
      await cluster().stop(3);
      const refused = await poison(cluster(), orders, 0);
      await isBlocked(program, orders);
      await cluster().start(3);
      await behind(cluster(), orders, program, 0);
      expect([...(await lettersByOrigin(cluster(), orders)).keys()]).toEqual([`0:${refused}`]);
      await program.ready();

      await cluster().admin.deleteTopic(orders.deadLetterTopic);
      const second = await poison(cluster(), orders, 0);
      const denied: string[] = [];
      await waitUntil("a blocked partition, or a letter", async () => {
        denied.push(await read(program, orders.newOrder(0)));
        return (await health(program.orderUrl)).status === "blocked" || (await letterCount(cluster(), orders)) > 0;
      });
      expect(await live(program)).toEqual([200, 200]);
      if ((await cluster().admin.partitions(orders.deadLetterTopic)).length === 0)
        await cluster().admin.createTopic(orders.deadLetterTopic, spread(2));
      await behind(cluster(), orders, program, 0);
      expect((await lettersByOrigin(cluster(), orders)).get(`0:${second}`)).toHaveLength(1);
      await program.ready();
    },
    TIMEOUT_MS,
  );

  test(
    "letters that somebody else put into the dead-letter topic, forged or senseless, silence no later one; nor does a topic that has grown",
    async () => {
      const orders = await ordersTopic(cluster(), { layout: spread(2) });
      const { admin } = cluster();
      const letterOf = (partition: string, offset: string, more: [string, string][] = []) => ({
        key: "x",
        value: "forged",
        headers: [
          ["x-dead-letter-reason", "not_json"],
          ["x-dead-letter-topic", orders.topic],
          ["x-dead-letter-partition", partition],
          ["x-dead-letter-offset", offset],
          ...more,
        ] as [string, string][],
      });
      const forged = [
        letterOf("0", "1000000"),
        letterOf("1", "9007199254740993"),
        letterOf("0", "-1"),
        letterOf("zero", "many"),
        letterOf("7", "3"),
        { key: null, value: null, headers: [] },
      ];
      for (const partition of [0, 1]) await admin.produce(orders.deadLetterTopic, partition, forged);
      {
        await using program = await startProgram({ env: orders.env });
        await program.ready();
        for (const partition of [0, 1]) {
          const offset = await poison(cluster(), orders, partition);
          await behind(cluster(), orders, program, partition);
          expect((await lettersByOrigin(cluster(), orders)).get(`${partition}:${offset}`)).toHaveLength(1);
        }
        for (const partition of [0, 1]) await admin.produce(orders.deadLetterTopic, partition, forged);
        program.kill("SIGKILL");
        await program.exited();
      }
      await admin.addPartitions(orders.deadLetterTopic, 5);
      // Everything is read again from the start: a record that has its letter gets no second one.
      await using rebuilt = await startProgram({ env: orders.env });
      await rebuilt.ready();
      const ends: string[] = [];
      for (const partition of [0, 1]) {
        ends.push(`${partition}:${await poison(cluster(), orders, partition)}`);
        await behind(cluster(), orders, rebuilt, partition);
      }
      const letters = await lettersByOrigin(cluster(), orders);
      const ours = [...letters].filter(([, those]) => those.some((letter) => String(letter.value) !== "forged" && letter.value));
      expect(Object.fromEntries(ours.map(([origin, those]) => [origin, those.length]))).toEqual(
        Object.fromEntries(["0:0", "1:0", ...ends].map((origin) => [origin, 1])),
      );
      expect(headerOf(letters.get(ends[0] as string)?.[0] as never, "x-dead-letter-reason")).toBe("not_json");
    },
    TIMEOUT_MS,
  );
});
