import { expect, test } from "bun:test";
import { clusterSuite } from "../../support/cluster/cluster-suite.ts";
import {
  appendForeign,
  created,
  health,
  live,
  ordersTopic,
  read,
  readable,
  updated,
} from "../../support/cluster/orders-topic.ts";
import { letterCount } from "../../support/cluster/letters.ts";
import { orderDetails } from "../../support/http/http.ts";
import { startProgram } from "../../support/programs/processes.ts";
import { tempDir } from "../../support/stores/temp-dir.ts";
import { waitUntil } from "../../support/wait-until.ts";

const TIMEOUT_MS = 120_000;
const READ_MS_MAX = 5_000;
const BACK_MS_MAX = 5_000;

await clusterSuite("partitions without a leader", (cluster) => {
  test(
    "what lies on a broker that is away, ours or somebody else's, concerns nobody else: the others are read, written, denied rightly, and restarted",
    async () => {
      const orders = await ordersTopic(cluster(), {
        layout: [[1], [1], [3], [3]],
        configs: { "min.insync.replicas": 1 },
        deadLetterLayout: [[1], [1], [1], [1]],
        deadLetterConfigs: { "min.insync.replicas": 1 },
      });
      const strangers = `somebody.elses.${orders.topic}`;
      await cluster().admin.createTopic(strangers, [[3]], { "min.insync.replicas": 1 });
      await using dir = await tempDir();
      const before = await startProgram({ env: orders.env, dataDir: dir.path });
      await before.ready();
      const known = [0, 1, 2, 3].map((partition) => orders.newOrder(partition));
      for (const orderId of known) expect(await created(before, orderId)).toBe("200");
      for (const orderId of known) await readable(before, orderId);

      await cluster().kill(3);
      await waitUntil("partition 2 to have no leader", async () => (await cluster().admin.leader(orders.topic, 2)) === undefined);
      let letters = 0;

      const othersWork = async (program: typeof before, ofWhatIsGone: RegExp) => {
        const news = [0, 1, 0, 1, 0, 1].map((partition) => orders.newOrder(partition));
        expect(await Promise.all(news.map((orderId) => created(program, orderId)))).toEqual(news.map(() => "200"));
        for (const orderId of [known[0] as string, ...news]) await readable(program, orderId, READ_MS_MAX);
        expect(await updated(program, known[1] as string)).toBe("200");
        expect(await created(program, known[1] as string)).toBe("409 ORDER_EXISTS");
        const foreign = orders.newOrder(1);
        await appendForeign(cluster(), orders, 1, foreign);
        await readable(program, foreign, READ_MS_MAX);
        await cluster().admin.produce(orders.topic, 0, [{ key: "x", value: "no event" }]);
        letters++;
        await waitUntil("a poison's letter", async () => (await letterCount(cluster(), orders)) === letters);
        // The answer for an order that nobody has depends on whether its home partition can be read to the end.
        let last: { readonly code?: string } = {};
        await waitUntil(
          () => `for an unknown order to be denied; the last answer: ${JSON.stringify(last)}`,
          async () => (last = (await orderDetails(program.orderUrl, orders.newOrder(0))).body).code === "ORDER_NOT_FOUND",
          { wait_ms_max: READ_MS_MAX },
        );
        expect(await read(program, orders.newOrder(2))).toBe("503 LOG_UNAVAILABLE");
        expect(await updated(program, orders.newOrder(3))).toMatch(/^503 /);
        expect(await created(program, orders.newOrder(3))).toMatch(/^503 /);
        expect(await read(program, known[2] as string)).toMatch(ofWhatIsGone);
        expect(await live(program)).toEqual([200, 200]);
        for (const url of [program.cartUrl, program.orderUrl]) {
          const { http, status, reason, partitions } = await health(url);
          expect([http, status]).toEqual([200, "ready"]);
          expect(reason).toMatch(/.{20}/);
          expect(partitions.filter((one) => one.reason !== undefined).map(({ partition }) => partition)).toEqual([2, 3]);
        }
      };
      // What was read of a partition before is still answered.
      await othersWork(before, /^200$/);
      before.kill("SIGTERM");
      expect((await before.exited()).code).toBe(0);
      await using after = await startProgram({ env: orders.env, dataDir: dir.path });
      await after.ready();
      // Whether a store belongs to this log is not known until the two can be compared.
      await othersWork(after, /^503 LOG_UNAVAILABLE$/);

      // Without a state of its own the program cannot know what the unreadable partitions hold.
      await using empty = await startProgram({ env: { ...orders.env, CONSUMER_GROUP: `another.${orders.topic}` } });
      await empty.live();
      await readable(empty, known[0] as string);
      expect(await read(empty, orders.newOrder(0))).toMatch(/^503 /);
      expect(await read(empty, known[2] as string)).toMatch(/^503 /);

      await cluster().start(3);
      await cluster().admin.leaderBut(orders.topic, 2);
      await cluster().admin.leaderBut(orders.topic, 3);
      await waitUntil("creates in all partitions", async () => (await created(after, orders.newOrder(3))) === "200", {
        wait_ms_max: BACK_MS_MAX,
      });
      for (const program of [after, empty]) await readable(program, known[2] as string, READ_MS_MAX);
      await waitUntil("an unknown order to be denied again", async () =>
        (await read(empty, orders.newOrder(2))).startsWith("404"),
      );
      expect((await health(after.orderUrl)).reason).toBeUndefined();
    },
    TIMEOUT_MS,
  );
});
