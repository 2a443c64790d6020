import { describe, expect, test } from "bun:test";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "../../src/log/port.ts";
import { openSqliteLog } from "../../src/log/sqlite/sqlite-log.ts";
import { systemClock } from "../../src/system/clock.ts";
import { brokerSuite } from "../support/brokers/broker.ts";
import { openKafkaLog } from "../support/brokers/kafka-log.ts";
import { createOrder, orderDetails, updateOrder } from "../support/http/http.ts";
import { type Program, startProgram } from "../support/programs/processes.ts";
import { repository } from "../support/programs/repository.ts";
import { type S3Server, s3Starter, s3Suite } from "../support/storage/s3-server.ts";
import { tempDir } from "../support/stores/temp-dir.ts";
import { waitUntil } from "../support/wait-until.ts";

const TIMEOUT_MS = 90_000;
const PARTITIONS = 2;
const ORDERS = 60;
const ids = (from: number, count: number) => Array.from({ length: count }, (_, n) => `ORD-${from + n}`);

interface Health {
  readonly partition: number;
  readonly offset: number;
  readonly digest?: string;
  readonly halted?: string;
  readonly snapshot?: { readonly offset: number };
}

async function partitions(url: string): Promise<readonly Health[]> {
  const body = (await (await fetch(`${url}/health/ready`)).json()) as { readonly partitions: readonly Health[] };
  return body.partitions.toSorted((a, b) => a.partition - b.partition);
}

async function create(program: Program, orders: readonly string[]): Promise<void> {
  for (const order_id of orders) expect((await createOrder(program.cartUrl, { order_id, number_of_items: 2 })).status).toBe(200);
  const last = orders.at(-1) as string;
  await waitUntil(`${last} to be readable`, async () => (await orderDetails(program.orderUrl, last)).status === 200);
}

/** Resolves once both services have snapshots of everything that is applied. */
const snapshotsTaken = (program: Program): Promise<unknown> =>
  waitUntil(
    () => `snapshots of everything. The program said:\n${program.output().slice(-3_000)}`,
    async () => {
      const [orders, index] = await Promise.all([partitions(program.orderUrl), partitions(program.cartUrl)]);
      return [...orders, ...index].every(({ offset, snapshot }) => snapshot?.offset === offset);
    },
    { wait_ms_max: 30_000 },
  );

/** Retention passes: the log's records before what is applied are deleted. */
async function passRetention(log: Log, topic: string, applied: readonly Health[]): Promise<void> {
  for (const { partition, offset } of applied) await log.deleteRecords(topic, partition, offset);
}

const killed = async (program: Program): Promise<void> => {
  program.kill("SIGKILL");
  await program.exited();
};

const runTool = async (args: readonly string[], env: Readonly<Record<string, string>>, tool = "snapshot") => {
  const { PATH, HOME, TMPDIR } = process.env;
  const child = Bun.spawn([process.execPath, `src/tools/${tool}/main.ts`, ...args], {
    cwd: repository,
    env: { PATH, HOME, TMPDIR, ...env },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [code, output, errors] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code, output, errors };
};

/** Retention passes, the machine is lost, and another one takes over: it has the same rows, and goes on. */
async function retentionAndLoss(env: Readonly<Record<string, string>>, topic: string, openLog: (dataDir: string) => Log) {
  await using dir = await tempDir();
  const settings = {
    ...env,
    ORDERS_TOPIC: topic,
    TOPIC_PARTITIONS: String(PARTITIONS),
    SNAPSHOT_WAIT_MS: "1000",
    LOG_FORMAT: "json",
  };
  const before = await startProgram({ env: settings, dataDir: dir.path });
  await using _ = before;
  await before.ready();
  await create(before, ids(0, ORDERS));
  await snapshotsTaken(before);
  const applied = await partitions(before.orderUrl);
  // What comes after the snapshots is in the log.
  await create(before, ids(ORDERS, 5));
  const update = { order_id: "ORD-1", status: "shipped" };
  expect((await updateOrder(before.cartUrl, update)).status).toBe(200);
  await waitUntil(
    "the update to be applied",
    async () => (await orderDetails(before.orderUrl, "ORD-1")).body.order?.status === "shipped",
  );
  const digests = (await partitions(before.orderUrl)).map(({ offset, digest }) => [offset, digest]);
  await killed(before);

  const log = openLog(dir.path);
  await passRetention(log, topic, applied);
  await log.close();
  rmSync(join(dir.path, "state"), { recursive: true });

  await using program = await startProgram({ env: settings, dataDir: dir.path });
  await program.ready();
  // The member that was lost has its partitions until its session is over.
  await waitUntil("all partitions", async () => (await partitions(program.orderUrl)).length === PARTITIONS, {
    wait_ms_max: 30_000,
  });
  await program.ready();
  expect((await partitions(program.orderUrl)).map(({ offset, digest }) => [offset, digest])).toEqual(digests);
  for (const id of ids(0, ORDERS + 5)) {
    expect([id, (await orderDetails(program.orderUrl, id)).status]).toEqual([id, 200]);
    expect([id, (await createOrder(program.cartUrl, { order_id: id, number_of_items: 1 })).status]).toEqual([id, 409]);
  }
  expect((await orderDetails(program.orderUrl, "ORD-1")).body.order?.status).toBe("shipped");
  expect((await updateOrder(program.cartUrl, { order_id: "ORD-2", status: "confirmed" })).status).toBe(200);
  await create(program, ids(1_000, 3));
  expect(program.output()).toContain("Restoring from the snapshot");
  const audit = await runTool(["--services", program.orderUrl, "--rows"], { ...settings, DATA_DIR: dir.path }, "audit");
  expect(audit.output).toMatch(
    /partition 0: the log begins at offset \d+; what came before offset \d+ is taken from the snapshot/,
  );
  expect([audit.code, audit.output.includes("all agree")]).toEqual([0, true]);
}

describe("snapshots in a directory, on the embedded log", () => {
  const TOPIC = "orders.events";

  test(
    "retention passed and state lost: all is as before",
    async () => {
      await using storage = await tempDir();
      const openLog = (dataDir: string) =>
        openSqliteLog({
          path: join(dataDir, "log.sqlite"),
          clock: systemClock,
          newUuid: () => crypto.randomUUID(),
          owner: "test",
        });
      await retentionAndLoss({ SNAPSHOT_URL: `file://${storage.path}/kept` }, TOPIC, openLog);
    },
    TIMEOUT_MS,
  );

  test(
    "without one that fits, a new state halts and says what is missing",
    async () => {
      await using dir = await tempDir();
      const env = { TOPIC_PARTITIONS: "1", LOG_FORMAT: "json", SNAPSHOT_URL: `file://${dir.path}/none` };
      const before = await startProgram({ env, dataDir: dir.path });
      await using _ = before;
      await before.ready();
      await create(before, ids(0, 5));
      await killed(before);
      const path = join(dir.path, "log.sqlite");
      const log = openSqliteLog({ path, clock: systemClock, newUuid: () => crypto.randomUUID(), owner: "test" });
      await log.deleteRecords(TOPIC, 0, 3);
      await log.close();
      rmSync(join(dir.path, "state"), { recursive: true });
      await using program = await startProgram({ env, dataDir: dir.path });
      await program.live();
      await waitUntil("it halts", async () => (await partitions(program.orderUrl))[0]?.halted !== undefined);
      const why = (await partitions(program.orderUrl))[0]?.halted;
      expect(why).toContain("the records 0 to 2 were removed");
      expect(why).toContain(`there is no snapshot of it at file://${dir.path}/none`);
      await waitUntil("the cart halts", async () => (await partitions(program.cartUrl))[0]?.halted !== undefined);
      expect((await orderDetails(program.orderUrl, "ORD-1")).status).toBe(503);
      expect((await createOrder(program.cartUrl, { order_id: "ORD-1", number_of_items: 1 })).status).toBe(503);
    },
    TIMEOUT_MS,
  );

  test(
    "bun run snapshot takes them of a stopped service, lists, verifies and deletes them",
    async () => {
      await using dir = await tempDir();
      const env = { TOPIC_PARTITIONS: "1", DATA_DIR: dir.path, SNAPSHOT_URL: `file://${dir.path}/kept` };
      {
        // Without the URL: it takes none.
        await using program = await startProgram({ env: { TOPIC_PARTITIONS: "1" }, dataDir: dir.path });
        await program.ready();
        await create(program, ids(0, 20));
        const running = await runTool(["--take"], env);
        expect(running).toMatchObject({
          code: 1,
          errors: expect.stringMatching(/order-service-0 is that of a process that runs/),
        });
        program.kill("SIGTERM");
        await program.exited();
      }
      expect(await runTool(["--list"], env)).toMatchObject({ code: 0, errors: expect.stringContaining("There is no snapshot") });
      const taken = await runTool(["--take"], env);
      expect([taken.code, taken.errors, taken.output.trim().split("\n")]).toEqual([
        0,
        "",
        [expect.any(String), expect.any(String)],
      ]);
      const list = await runTool(["--list"], env);
      expect(list.output.match(/orders\.events +(?:index|orders) +0 +20 +\d+ s +[\d,]+ /g)).toHaveLength(2);
      const verified = await runTool(["--verify"], env);
      expect(verified).toMatchObject({ code: 0, errors: "" });
      expect(verified.output).toMatch(/good .*\/0\/.*its rows have the digest [0-9a-f]{13}\n/);
      expect(verified.output).toMatch(/good .*\/order-index-\d+\/0\/.*its 20 entries can be read\n/);
      const names = list.output.match(/\S+\/0\/\S+/g) as string[];
      const part = join(dir.path, "kept", names[0] as string, "000000");
      await Bun.write(part, Buffer.alloc((await Bun.file(part).bytes()).length, 7));
      const bad = await runTool(["--verify"], env);
      expect(bad).toMatchObject({ code: 1, output: expect.stringMatching(/BAD .*the checksum of its part 000000 is another/) });
      for (const name of names) expect(await runTool(["--delete", name], env)).toMatchObject({ code: 0 });
      expect((await runTool(["--list"], env)).output).not.toContain("/0/");
      expect(readdirSync(join(dir.path, "kept"), { recursive: true, encoding: "utf8" }).join("\n")).not.toMatch(/\/0\//);
      expect(await runTool([], env)).toMatchObject({ code: 2, errors: expect.stringContaining("Say one of --list") });
      expect(await runTool(["--list"], {})).toMatchObject({
        code: 2,
        errors: expect.stringContaining("SNAPSHOT_URL is not set"),
      });
    },
    TIMEOUT_MS,
  );
});

await s3Suite("the server of S3's protocol for these tests", (start) => {
  test("starts, and has an empty bucket", async () => {
    await using server = await start();
    expect((await server.client.list()).contents ?? []).toEqual([]);
  });
});

// Where there is no such server, the suite before has told so.
const startS3 = await s3Starter();
if (startS3 !== undefined) await bucketSuite(startS3);

function bucketSuite(start: () => Promise<S3Server>): Promise<void> {
  return brokerSuite("snapshots in a bucket", ({ brokers }) => {
    test(
      "retention passed and machine lost: all is as before",
      async () => {
        await using server = await start();
        const { bucket, endpoint = "", region = "", access_key_id, secret_access_key } = server.access;
        const env = {
          KAFKA_BROKERS: brokers,
          SESSION_TIMEOUT_MS: "6000",
          CONSUMER_GROUP: `snapshots-${crypto.randomUUID()}`,
          SNAPSHOT_URL: `s3://${bucket}/kept/here`,
          AWS_ENDPOINT_URL: endpoint,
          AWS_REGION: region,
          AWS_ACCESS_KEY_ID: access_key_id,
          AWS_SECRET_ACCESS_KEY: secret_access_key,
        };
        await retentionAndLoss(env, `snapshots-${crypto.randomUUID()}`, () => openKafkaLog(brokers));
      },
      TIMEOUT_MS,
    );
  });
}
