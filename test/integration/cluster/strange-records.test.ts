import { expect, test } from "bun:test";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { compressFrameSync } from "lz4-napi";
import { compressSync } from "snappy";
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
  spread,
} from "../../support/cluster/orders-topic.ts";
import { letterCount, lettersByOrigin } from "../../support/cluster/letters.ts";
import { CODECS, crc32c, encodeRecord, recordBatch } from "../../support/cluster/record-batch.ts";
import { pythonCreate } from "../../support/events/python-events.ts";
import { type Program, startProgram } from "../../support/programs/processes.ts";
import { waitUntil } from "../../support/wait-until.ts";

const TIMEOUT_MS = 120_000;
const BEHIND_MS_MAX = 20_000;
const RSS_MB_MAX = 1_000;
const MB = 1 << 20;

/** What lies behind each record or batch is read, each has exactly one letter, and the services are well. */
async function goesOn(
  cluster: Cluster,
  orders: OrdersTopic,
  program: Program,
  strange: readonly (readonly [partition: number, offset: number])[],
) {
  const partitions = [...new Set(strange.map(([partition]) => partition))];
  await Promise.all(
    partitions.map(async (partition) => {
      const behind = orders.newOrder(partition);
      await appendForeign(cluster, orders, partition, behind);
      await readable(program, behind, BEHIND_MS_MAX);
      expect(await created(program, behind)).toBe("409 ORDER_EXISTS");
    }),
  );
  const letters = await lettersByOrigin(cluster, orders);
  const counted = strange.map(([partition, offset]) => [
    `${partition}:${offset}`,
    letters.get(`${partition}:${offset}`)?.length ?? 0,
  ]);
  expect(counted).toEqual(strange.map(([partition, offset]) => [`${partition}:${offset}`, 1]));
  await program.ready();
  expect(await live(program)).toEqual([200, 200]);
}

async function rss_mb(program: Program): Promise<number> {
  const status = await readFile(`/proc/${program.pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

await clusterSuite("strange records", (cluster) => {
  test(
    "each codec is read; what is packed small and large in truth, or larger than any answer may be, is one dead letter, and memory stays bounded",
    async () => {
      const orders = await ordersTopic(cluster(), { layout: spread(CODECS.length), configs: { "max.message.bytes": 8 * MB } });
      await using program = await startProgram({ env: orders.env });
      await program.ready();
      const { admin } = cluster();
      for (const [partition, codec] of CODECS.entries()) {
        const ids = [orders.newOrder(partition), orders.newOrder(partition)];
        await admin.produce(
          orders.topic,
          partition,
          ids.map((key) => ({ key, value: pythonCreate(key) })),
          { codec },
        );
        for (const orderId of ids) await readable(program, orderId);
      }
      let peak_mb = 0;
      const measuring = setInterval(() => void rss_mb(program).then((now_mb) => (peak_mb = Math.max(peak_mb, now_mb))), 100);
      try {
        const strange: [number, number][] = [];
        for (const [partition, codec] of CODECS.entries()) {
          // 3 MiB is more than a dead letter may have, and most of the codecs pack it small.
          const large = [{ key: "x", value: Buffer.alloc(3 * MB, " ") }];
          strange.push([partition, await admin.produce(orders.topic, partition, large, { codec })]);
        }
        await goesOn(cluster(), orders, program, strange);
        const bombs: [number, number][] = [];
        for (const [partition, codec] of CODECS.entries()) {
          if (codec === "none") continue;
          const record = encodeRecord({ key: "x", value: Buffer.alloc(100 * MB, " ") }, 0);
          const packed = { gzip: gzipSync, snappy: compressSync, lz4: compressFrameSync, zstd: zstdCompressSync }[codec](record);
          // Snappy does not pack this small enough for a broker to take.
          if (packed.length > 8 * MB - 1_000) continue;
          bombs.push([
            partition,
            await admin.produceBatch(orders.topic, partition, recordBatch([], { codec, packed, count: 1 })),
          ]);
        }
        expect(bombs.length).toBeGreaterThanOrEqual(3);
        await goesOn(cluster(), orders, program, bombs);
      } finally {
        clearInterval(measuring);
      }
      expect(peak_mb).toBeGreaterThan(0);
      expect(peak_mb).toBeLessThan(RSS_MB_MAX);
    },
    TIMEOUT_MS,
  );

  test(
    "records stamped in nanoseconds, before 1970 or at the ends of time are orders as all others, and their events and letters are shown",
    async () => {
      const configs = { "message.timestamp.after.max.ms": String((1n << 63n) - 1n) };
      const orders = await ordersTopic(cluster(), { layout: spread(1), configs });
      await using program = await startProgram({ env: orders.env });
      await program.ready();
      const stamps = [1_795_600_000_000_000_000n, -1n, -9_000_000_000_000_000n, -(1n << 63n), (1n << 63n) - 1n, 0n];
      for (const [n, timestamp_ms] of stamps.entries()) {
        const orderId = orders.newOrder(0);
        const records = [
          { key: orderId, value: pythonCreate(orderId) },
          { key: orderId, value: `no event ${n}` },
        ];
        await cluster().admin.produce(orders.topic, 0, records, { timestamp_ms });
        await readable(program, orderId);
        const events = await fetch(`${program.orderUrl}/orders/${orderId}/events`);
        expect([timestamp_ms, events.status]).toEqual([timestamp_ms, 200]);
        expect(await events.text()).toContain(orderId);
      }
      const letters = await waitUntil("all letters to be listed", async () => {
        const response = await fetch(`${program.orderUrl}/dead-letters?limit=50`);
        if (response.status !== 200) return false;
        const text = await response.text();
        return (
          stamps.every(
            (_, n) => text.includes(Buffer.from(`no event ${n}`).toString("base64")) || text.includes(`no event ${n}`),
          ) && text
        );
      });
      expect(letters).toContain("not_json");
      expect((await health(program.orderUrl)).status).toBe("ready");
    },
    TIMEOUT_MS,
  );

  test(
    "JSON behind a byte order mark is taken, or not, alike in a request and in a record",
    async () => {
      const orders = await ordersTopic(cluster(), { layout: spread(1) });
      await using program = await startProgram({ env: orders.env });
      await program.ready();
      const [asked, written, behind] = [orders.newOrder(0), orders.newOrder(0), orders.newOrder(0)];
      const response = await fetch(`${program.cartUrl}/create-order`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: `\uFEFF{"order_id":"${asked}","number_of_items":1}`,
      });
      await cluster().admin.produce(orders.topic, 0, [{ key: written, value: `\uFEFF${pythonCreate(written)}` }]);
      await appendForeign(cluster(), orders, 0, behind);
      await readable(program, behind);
      expect([200, 400]).toContain(response.status);
      expect(await read(program, written)).toBe(response.status === 200 ? "200" : "404 ORDER_NOT_FOUND");
      expect((await lettersByOrigin(cluster(), orders)).size).toBe(response.status === 200 ? 0 : 1);
    },
    TIMEOUT_MS,
  );

  test(
    "50,000 records of two bytes are 50,000 letters, each once, also when the service is killed amid them",
    async () => {
      const count = 50_000;
      const orders = await ordersTopic(cluster(), { layout: spread(2) });
      const { admin } = cluster();
      const tiny = Array.from({ length: count / 10 }, () => ({ key: null, value: "hi" }));
      for (let n = 0; n < 10; n++) await admin.produce(orders.topic, 0, tiny);
      const behind = orders.newOrder(0);
      await appendForeign(cluster(), orders, 0, behind);
      {
        await using first = await startProgram({ env: orders.env });
        await first.live();
        await waitUntil("some letters", async () => (await letterCount(cluster(), orders)) > 0);
        first.kill("SIGKILL");
        await first.exited();
      }
      await using program = await startProgram({ env: orders.env });
      await program.live();
      await waitUntil(
        "the order behind them",
        async () => {
          const answer = await read(program, behind);
          expect(answer).not.toBe("404 ORDER_NOT_FOUND");
          expect(await live(program)).toEqual([200, 200]);
          return answer === "200";
        },
        { wait_ms_max: BEHIND_MS_MAX, interval_ms: 200 },
      );
      await program.ready();
      const all = await lettersByOrigin(cluster(), orders);
      expect(all.size).toBe(count);
      expect([...all.values()].filter((those) => those.length > 1)).toEqual([]);
    },
    TIMEOUT_MS,
  );

  test(
    "batches that cannot be decoded, as a damaged disk may have them, are one letter each, and their partitions go on",
    async () => {
      const alone = { "min.insync.replicas": 1 };
      const damages: [what: string, damage: (batch: Buffer) => Buffer][] = [
        ["records of rubbish", (batch) => reseal(batch, (bytes) => bytes.fill(0xee, 61))],
        ["a codec that there is not", (batch) => reseal(batch, (bytes) => bytes.writeInt16BE(7, 21))],
        ["packed bytes that are not", (batch) => reseal(batch, (bytes) => bytes.writeInt16BE(4, 21))],
        ["fewer records than its head says", (batch) => reseal(batch, (bytes) => bytes.writeInt32BE(9, 57))],
        ["a checksum that is wrong", (batch) => ((batch[70] = (batch[70] ?? 0) ^ 0xff), batch)],
      ];
      const layout = damages.map(() => [1]);
      const orders = await ordersTopic(cluster(), {
        layout,
        configs: alone,
        deadLetterLayout: [[2], [3]],
        deadLetterConfigs: alone,
      });
      const strange: [number, number][] = [];
      for (const partition of damages.keys()) {
        const before = orders.newOrder(partition);
        await appendForeign(cluster(), orders, partition, before);
        const doomed = [0, 1, 2].map(() => orders.newOrder(partition)).map((key) => ({ key, value: pythonCreate(key) }));
        strange.push([partition, await cluster().admin.produce(orders.topic, partition, doomed)]);
      }
      await cluster().stop(1);
      for (const [partition, [, damage]] of damages.entries()) {
        const dir = cluster().partitionDir(1, orders.topic, partition);
        const segment = join(dir, (await readdir(dir)).find((name) => name.endsWith(".log")) as string);
        const bytes = await readFile(segment);
        const from = 12 + bytes.readInt32BE(8);
        await writeFile(segment, Buffer.concat([bytes.subarray(0, from), damage(Buffer.from(bytes.subarray(from)))]));
      }
      await cluster().start(1);
      for (const partition of damages.keys()) await cluster().admin.leaderBut(orders.topic, partition);
      await using program = await startProgram({ env: orders.env });
      await program.live();
      await goesOn(cluster(), orders, program, strange);
    },
    TIMEOUT_MS,
  );
});

/** Changes a batch and sets its checksum to match. */
function reseal(batch: Buffer, change: (bytes: Buffer) => unknown): Buffer {
  change(batch);
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
  return batch;
}
