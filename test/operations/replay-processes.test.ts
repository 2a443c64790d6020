import { describe, expect, test } from "bun:test";
import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { brokerSuite } from "../support/broker.ts";
import { connectSuite } from "../support/connect.ts";
import { type Backing, brokerBacking, embeddedBacking, pythonCreate, pythonUpdate, totalLength } from "../support/foreign.ts";
import { createOrder, orderDetails, orderIds, updateOrder } from "../support/http.ts";
import { orderRows, runOperation, startOperation } from "../support/operations.ts";
import { startProgram } from "../support/processes.ts";
import { type ExactRecord, headerOf, headersBut, readExact } from "../support/records.ts";
import { tempDir } from "../support/temp-dir.ts";
import { createTopic } from "../support/topics.ts";
import { waitUntil } from "../support/wait-until.ts";

const TIMEOUT_MS = 180_000;
const ORDERS = 40;

interface Way {
  readonly open: () => Promise<Backing>;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Whether each record arrives once, also where a run was killed. */
  readonly isExact: boolean;
}

const envOf = (backing: Backing, way: Way) => ({ ...backing.env, ...way.env, DATA_DIR: backing.dataDir });
const sorted = (record: ExactRecord, from: unknown) => ({
  ...record,
  offset: 0,
  from: Number(from),
  headers: headersBut(record, "x-replay"),
});
const sourceOf = (records: readonly ExactRecord[]) => records.map((record) => sorted(record, record.offset));
/** Without what arrived again. */
const arrivedOf = (records: readonly ExactRecord[]) => {
  const seen = new Set<string>();
  return records
    .map((record) => sorted(record, headerOf(record, "x-replayed-from-offset")))
    .filter(({ partition, from }) => !seen.has(`${partition}:${from}`) && seen.add(`${partition}:${from}`));
};

async function someOrders(cartUrl: string): Promise<void> {
  await Promise.all(
    Array.from({ length: ORDERS }, async (_, n) => {
      expect((await createOrder(cartUrl, { order_id: String(n), number_of_items: 1 + (n % 3) })).status).toBe(200);
      expect((await updateOrder(cartUrl, { order_id: String(n), status: n % 2 ? "shipped" : "cancelled" })).status).toBe(200);
    }),
  );
}

const answers = async (orderUrl: string) =>
  Promise.all(Array.from({ length: ORDERS }, async (_, n) => (await orderDetails(orderUrl, String(n))).body));

/** A topic that was just created has no leaders for a moment. */
const lengthSoFar = ({ log }: Backing, topic: string) => totalLength(log, topic).catch(() => 0);

/** Until the service has applied what the topic holds now. */
async function caughtUp(orderUrl: string, { log }: Backing, topic: string): Promise<void> {
  const ends = (await log.watermarks(topic)).map(({ endOffset }) => endOffset);
  await waitUntil(
    "for the order service to have applied the topic",
    async () => {
      const ready = (await (await fetch(`${orderUrl}/health/ready`)).json()) as {
        partitions?: { partition: number; offset: number }[];
      };
      return ends.every((end, partition) => ready.partitions?.some((one) => one.partition === partition && one.offset >= end));
    },
    { wait_ms_max: 30_000, interval_ms: 200 },
  );
}

function replaySuite(way: Way): void {
  test(
    "onto the live topic it changes nothing; into a new topic, a fresh order service holds the same",
    async () => {
      await using backing = await way.open();
      await using program = await startProgram({ role: "both", env: backing.env, dataDir: backing.dataDir });
      await program.ready();
      await someOrders(program.cartUrl);
      await backing.produce([
        { partition: 3, key: "ORD-900", value: pythonUpdate("ORD-900", "shipped") },
        { partition: 5, key: "ORD-901", value: pythonCreate("ORD-901") },
      ]);
      await caughtUp(program.orderUrl, backing, backing.topic);
      const before = { answers: await answers(program.orderUrl), rows: await orderRows(backing.dataDir, backing.topic) };
      const length = await totalLength(backing.log, backing.topic);

      const fresh = `${backing.topic}.fresh`;
      const away = await runOperation("replay", [...way.args, "--target", fresh], envOf(backing, way));
      expect(away).toMatchObject({ code: 0 });
      const live = await runOperation("replay", [...way.args, "--target", backing.topic, "--yes"], envOf(backing, way));
      expect(live).toMatchObject({ code: 0 });
      expect(live.output).toContain(`All of ${length} records`);
      await caughtUp(program.orderUrl, backing, backing.topic);
      expect(await totalLength(backing.log, backing.topic)).toBeGreaterThanOrEqual(2 * length);
      expect({ answers: await answers(program.orderUrl), rows: await orderRows(backing.dataDir, backing.topic) }).toEqual(before);
      expect(await totalLength(backing.log, backing.deadLetterTopic)).toBe(0);

      // The embedded log lies in the data directory; there the fresh service makes state of its own for the other topic.
      await using dir = await tempDir();
      const dataDir = backing.kind === "broker" ? dir.path : backing.dataDir;
      const more = { ORDERS_TOPIC: fresh, CONSUMER_GROUP: `${fresh}.group` };
      program.kill("SIGKILL");
      await program.exited();
      if (backing.kind === "embedded") await backing.forgetState();
      await using other = await startProgram({ role: "consumer", env: { ...backing.env, ...more }, dataDir });
      await other.ready();
      await caughtUp(other.orderUrl, backing, fresh);
      expect({ answers: await answers(other.orderUrl), rows: await orderRows(dataDir, fresh) }).toEqual(before);
      const ids = (await orderIds(other.orderUrl, fresh)).body.orderIds ?? [];
      expect(ids.toSorted()).toEqual([...Array.from({ length: ORDERS }, (_, n) => `ORD-${n}`), "ORD-900", "ORD-901"].toSorted());
    },
    TIMEOUT_MS,
  );

  test(
    "killed in the middle, it says beforehand how to go on, goes on behind what is there, and all is there in order",
    async () => {
      await using backing = await way.open();
      await fill(backing, 6_000);
      const source = await readExact(backing.log, backing.topic);
      const target = `${backing.topic}.replay`;
      const args = [...way.args, "--id", "night-1", "--rate", "1500"];
      let kills = 0;
      for (const wanted of [500, 2_500]) {
        await using operation = startOperation(
          "replay",
          [...args, ...(kills === 0 ? ["--target", target] : [])],
          envOf(backing, way),
        );
        await waitUntil(
          () => `for ${wanted} records in the target. It said:\n${operation.output()}`,
          async () => (await lengthSoFar(backing, target)) >= wanted,
          { wait_ms_max: 60_000 },
        );
        expect(operation.output()).toContain(`If it is interrupted: bun run replay --id night-1`);
        operation.kill("SIGKILL");
        expect(await operation.exited).toEqual({ code: null, signal: "SIGKILL" });
        kills++;
      }
      expect(await totalLength(backing.log, target)).toBeLessThan(6_000);
      const { code, output } = await runOperation("replay", [...way.args, "--id", "night-1"], envOf(backing, way));
      expect({ code, output: code === 0 ? "" : output }).toEqual({ code: 0, output: "" });
      expect(output).toMatch(/[0-9,]+ of 6,000 records are in .* already/);
      const arrived = await readExact(backing.log, target);
      expect(arrivedOf(arrived)).toEqual(sourceOf(source));
      if (way.isExact) expect(arrived).toHaveLength(6_000);
    },
    TIMEOUT_MS,
  );

  test(
    "Ctrl-C ends it within seconds, with the command that goes on",
    async () => {
      await using backing = await way.open();
      await fill(backing, 3_000);
      const target = `${backing.topic}.replay`;
      await using operation = startOperation(
        "replay",
        [...way.args, "--id", "n", "--rate", "200", "--target", target],
        envOf(backing, way),
      );
      await waitUntil(
        () => operation.output(),
        async () => (await lengthSoFar(backing, target)) > 0,
        { wait_ms_max: 60_000 },
      );
      const started_ms = performance.now();
      operation.kill("SIGINT");
      expect((await operation.exited).code).toBe(130);
      expect(performance.now() - started_ms).toBeLessThan(15_000);
      expect(operation.output()).toContain("To go on: bun run replay --id n");
    },
    TIMEOUT_MS,
  );
}

/** Events of 200 orders on 12 partitions, a second apart. */
async function fill(backing: Backing, count: number): Promise<void> {
  await createTopic(backing.log, backing.topic, 12);
  const producer = backing.log.producer();
  const records = Array.from({ length: count }, (_, n) => {
    const order = `ORD-${n % 200}`;
    const value = n < 200 ? pythonCreate(order) : pythonUpdate(order, "shipped");
    return {
      partition: (n % 200) % 12,
      key: order,
      value,
      timestamp_ms: 1_795_000_000_000 + n * 1_000,
      headers: [["n", String(n)]] as const,
    };
  });
  for (let at = 0; at < count; at += 500) await producer.append(backing.topic, records.slice(at, at + 500));
  await producer.close();
}

describe("replay on the embedded log", () => replaySuite({ open: embeddedBacking, args: [], env: {}, isExact: true }));

await brokerSuite("replay on a broker without Connect", ({ brokers }) => {
  replaySuite({ open: () => brokerBacking(brokers), args: ["--direct"], env: {}, isExact: true });

  test(
    "where Connect is not found it says in a sentence how to get it, makes nothing, and ends with exit code 2",
    async () => {
      await using backing = await brokerBacking(brokers);
      await fill(backing, 500);
      const target = `${backing.topic}.replay`;
      await symlink("/bin/sh", join(backing.dataDir, "sh"));
      const bare = { ...backing.env, DATA_DIR: backing.dataDir, PATH: backing.dataDir };
      const { code, output } = await runOperation("replay", ["--target", target], bare);
      expect({ code, output }).toEqual({
        code: 2,
        output: expect.stringContaining("install it (https://docs.redpanda.com/redpanda-connect/install"),
      });
      const missing = await runOperation("replay", ["--target", target], { ...bare, REDPANDA_CONNECT_BIN: "/no/such/program" });
      expect(missing).toEqual({
        code: 2,
        output: "REDPANDA_CONNECT_BIN is /no/such/program, which is no program that can be run.\n",
      });
      expect(await backing.log.partitionCount(target)).toBe(0);
    },
    TIMEOUT_MS,
  );
});

await connectSuite("replay through Redpanda Connect", (connect) =>
  brokerSuite(`replay through Redpanda Connect (${connect.kind})`, (broker) => {
    const given = process.env["REDPANDA_CONNECT_BIN"];
    const env: Record<string, string> = given ? { REDPANDA_CONNECT_BIN: given } : {};
    const way: Way = { open: () => brokerBacking(broker.brokers), args: [], env, isExact: false };
    replaySuite(way);

    test(
      "a record that Connect cannot write ends it with that record's place, and --direct writes it",
      async () => {
        await using backing = await way.open();
        await fill(backing, 500);
        await backing.log.producer().append(backing.topic, [
          {
            partition: 4,
            key: "ORD-1",
            value: "v",
            timestamp_ms: 1,
            headers: [
              ["d", "1"],
              ["d", "2"],
            ],
          },
        ]);
        const args = ["--target", `${backing.topic}.replay`];
        const stopped = await runOperation("replay", args, envOf(backing, way));
        expect(stopped.code).toBe(1);
        expect(stopped.output).toContain("has headers that cannot be written as they are");
        expect(await runOperation("replay", [...args, "--direct"], envOf(backing, way))).toMatchObject({ code: 0 });
      },
      TIMEOUT_MS,
    );

    test.skipIf(!broker.canRestart)(
      "the broker killed in the middle: it waits, and all of it arrives; what came again is counted",
      async () => {
        await using backing = await way.open();
        await fill(backing, 6_000);
        const source = await readExact(backing.log, backing.topic);
        const target = `${backing.topic}.replay`;
        await using operation = startOperation("replay", ["--rate", "1000", "--target", target], envOf(backing, way));
        await waitUntil(
          () => operation.output(),
          async () => (await lengthSoFar(backing, target)) > 1_000,
          { wait_ms_max: 60_000 },
        );
        await broker.kill();
        await Bun.sleep(3_000);
        await broker.start();
        expect({ code: (await operation.exited).code, output: operation.output() }).toMatchObject({ code: 0 });
        expect(arrivedOf(await readExact(backing.log, target))).toEqual(sourceOf(source));
      },
      TIMEOUT_MS,
    );
  }),
);
