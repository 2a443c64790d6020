import { expect, test } from "bun:test";
import { clusterSuite } from "../../support/cluster/cluster-suite.ts";
import {
  answered,
  appendForeign,
  created,
  health,
  live,
  namedTopic,
  type OrdersTopic,
  ordersTopic,
  read,
  readable,
  spread,
  warnings,
} from "../../support/cluster/orders-topic.ts";
import { orderDetails } from "../../support/http/http.ts";
import { type Program, startProgram } from "../../support/programs/processes.ts";
import { tempDir } from "../../support/stores/temp-dir.ts";
import { runBounded } from "../../support/programs/tied-process.ts";
import { waitUntil } from "../../support/wait-until.ts";

const TIMEOUT_MS = 90_000;
const AUDIT_MS_MAX = 40_000;
const HALTED_MS_MAX = 15_000;
const GONE = 4;
const LEFT = 4;

async function bothHalted(program: Program): Promise<void> {
  const told = () => Promise.all([health(program.cartUrl), health(program.orderUrl)]);
  const statuses = async () => (await told()).map(({ status }) => status).join();
  await answered("cart and order service", statuses, /^halted,halted$/, HALTED_MS_MAX);
  expect(await live(program)).toEqual([200, 200]);
}

async function audit(program: Program, env: Readonly<Record<string, string>>) {
  const { PATH, HOME } = process.env;
  const settings = { ...env, DATA_DIR: program.dataDir, PATH, HOME };
  return runBounded([process.execPath, "src/tools/audit/main.ts", "--services", program.orderUrl], AUDIT_MS_MAX, settings);
}

await clusterSuite("a log that starts late", (cluster) => {
  /** A topic with two partitions, the first of which has lost its first records. */
  const lateTopic = async (): Promise<{ orders: OrdersTopic; gone: string[]; left: string[]; elsewhere: string }> => {
    const orders = await ordersTopic(cluster(), { layout: spread(2) });
    const ids = Array.from({ length: GONE + LEFT }, () => orders.newOrder(0));
    for (const orderId of ids) await appendForeign(cluster(), orders, 0, orderId);
    const elsewhere = orders.newOrder(1);
    await appendForeign(cluster(), orders, 1, elsewhere);
    return { orders, gone: ids.slice(0, GONE), left: ids.slice(GONE), elsewhere };
  };

  test(
    "a new store halts where the log's first records are gone, and says which; LOG_START=accept takes what there is, and every 404 and the audit say so",
    async () => {
      const { orders, gone, left, elsewhere } = await lateTopic();
      await cluster().admin.deleteRecords(orders.topic, 0, GONE);
      {
        await using program = await startProgram({ env: orders.env });
        await program.live();
        await bothHalted(program);
        for (const url of [program.cartUrl, program.orderUrl]) {
          const states = async () => (await health(url)).partitions.map(({ state }) => state).join();
          await answered("the partitions", states, /^halted,running$/);
        }
        const { partitions } = await health(program.orderUrl);
        const why = partitions[0]?.halted ?? partitions[0]?.reason ?? "";
        expect(why).toContain(String(GONE));
        expect(why).toContain("LOG_START");
        for (const orderId of [...gone, ...left]) {
          expect(await read(program, orderId)).toBe("503 PARTITION_HALTED");
          expect(await created(program, orderId)).toBe("503 PARTITION_HALTED");
        }
        expect(await read(program, elsewhere)).toBe("200");
        program.kill("SIGTERM");
        await program.exited();
      }
      const env = { ...orders.env, LOG_START: "accept" };
      await using program = await startProgram({ env });
      await program.ready();
      for (const orderId of [...left, elsewhere]) await readable(program, orderId);
      const unknown = await orderDetails(program.orderUrl, gone[0] as string);
      expect([unknown.status, unknown.body.code]).toEqual([404, "ORDER_NOT_FOUND"]);
      expect(unknown.body.detail).toContain(String(GONE));
      expect(await created(program, left[0] as string)).toBe("409 ORDER_EXISTS");
      expect(await created(program, orders.newOrder(0))).toBe("200");
      const audited = await audit(program, env);
      expect([audited.ok, audited.output]).toEqual([true, expect.stringContaining(String(GONE))]);
      expect(audited.output).toMatch(/begin|start|missing|gone/i);
    },
    TIMEOUT_MS,
  );

  test(
    "a store that has all of it goes on when the records before it are removed, and halts where records after it are",
    async () => {
      const { orders, gone, left } = await lateTopic();
      await using dir = await tempDir();
      {
        await using program = await startProgram({ env: orders.env, dataDir: dir.path });
        await program.ready();
        for (const orderId of [...gone, ...left]) await readable(program, orderId);
        await cluster().admin.deleteRecords(orders.topic, 0, GONE);
        const last = orders.newOrder(0);
        expect(await created(program, last)).toBe("200");
        for (const orderId of [...gone, last]) await readable(program, orderId);
        program.kill("SIGTERM");
        await program.exited();
      }
      {
        await using program = await startProgram({ env: orders.env, dataDir: dir.path });
        await program.ready();
        for (const orderId of [...gone, ...left]) await readable(program, orderId);
        program.kill("SIGTERM");
        await program.exited();
      }
      const unseen = [orders.newOrder(0), orders.newOrder(0), orders.newOrder(0)];
      for (const orderId of unseen) await appendForeign(cluster(), orders, 0, orderId);
      await cluster().admin.deleteRecords(orders.topic, 0, (await cluster().admin.end(orders.topic, 0)) - 1);
      await using program = await startProgram({ env: orders.env, dataDir: dir.path });
      await program.live();
      await bothHalted(program);
      for (const orderId of [...gone, ...unseen]) expect(await created(program, orderId)).toBe("503 PARTITION_HALTED");
    },
    TIMEOUT_MS,
  );

  test(
    "a topic that forgets, compacts, restamps, or lives on one disk of several is told of in the log and in health",
    async () => {
      const spoilt: [setting: string, layout: number[][], configs: Record<string, string | number>][] = [
        ["retention.ms", spread(2), { "retention.ms": 604_800_000 }],
        ["retention.bytes", spread(2), { "retention.bytes": 1_000_000 }],
        ["cleanup.policy", spread(2), { "cleanup.policy": "compact" }],
        ["message.timestamp.type", spread(2), { "message.timestamp.type": "LogAppendTime" }],
        ["replica", [[1], [2]], { "min.insync.replicas": 1 }],
      ];
      for (const [setting, layout, configs] of spoilt) {
        const orders = await ordersTopic(cluster(), { layout, configs });
        await using program = await startProgram({ env: orders.env });
        await program.live();
        await waitUntil(
          () => `for a warning of ${setting}. The program said:\n${program.output()}`,
          () => warnings(program).some((line) => line.includes(setting)),
        );
        for (const url of [program.cartUrl, program.orderUrl]) {
          const told = async () => (await fetch(`${url}/health/ready`)).text();
          await answered("health", told, new RegExp(setting.replaceAll(".", "\\.")));
        }
        expect(await live(program)).toEqual([200, 200]);
      }
      // What was set right is not reported again, and what the service made itself is never reported.
      const orders = namedTopic(2, { KAFKA_BROKERS: cluster().brokers });
      await using program = await startProgram({ env: orders.env });
      await program.ready();
      const made = await cluster().admin.partitions(orders.topic);
      expect(made.map(({ replicas }) => replicas.length)).toEqual([3, 3]);
      expect(warnings(program)).toEqual([]);
    },
    TIMEOUT_MS,
  );
});
