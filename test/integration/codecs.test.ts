import { expect, test } from "bun:test";
import { CompressionTypes } from "kafkajs";
import { brokerSuite } from "../support/brokers/broker.ts";
import { type Backing, brokerBacking, readAll, snappyFraming } from "../support/brokers/foreign.ts";
import { pythonCreate } from "../support/events/python-events.ts";
import { orderDetails, orderIds, updateOrder } from "../support/http/http.ts";
import { type Role, startProgram } from "../support/programs/processes.ts";
import { waitUntil } from "../support/wait-until.ts";

const TIMEOUT_MS = 90_000;

const start = ({ env, dataDir }: Backing, role: Role = "both") => startProgram({ role, env, dataDir });

await brokerSuite("codecs", ({ brokers }) => {
  test(
    "batches of every codec are applied: gzip, snappy in both framings, lz4, zstd",
    async () => {
      await using backing = await brokerBacking(brokers, { TOPIC_PARTITIONS: "2" });
      await using program = await start(backing);
      await program.ready();
      const codecs = [
        ["none", CompressionTypes.None],
        ["gzip", CompressionTypes.GZIP],
        ["snappy, raw", CompressionTypes.Snappy],
        ["snappy, xerial", CompressionTypes.Snappy],
        ["lz4", CompressionTypes.LZ4],
        ["zstd", CompressionTypes.ZSTD],
      ] as const;
      // 300 records are 130 kB: several of xerial's blocks, several of lz4's.
      const records = 300;
      for (const [c, [what, compression]] of codecs.entries()) {
        snappyFraming.current = what === "snappy, xerial" ? "xerial" : "raw";
        const ids = Array.from({ length: records }, (_, i) => `ORD-${c}${String(i).padStart(4, "0")}`);
        await backing.produce(
          ids.map((key) => ({ partition: 1, key, value: pythonCreate(key) })),
          compression,
        );
        for (const id of [ids[0]!, ids[150]!, ids[records - 1]!]) {
          await waitUntil(`${id} in ${what}`, async () => (await orderDetails(program.orderUrl, id)).status === 200);
        }
        await waitUntil(
          `an update of an order in ${what}`,
          async () => (await updateOrder(program.cartUrl, { order_id: ids[0], status: "shipped" })).status === 200,
        );
      }
      expect((await orderIds(program.orderUrl, backing.topic)).body.orderIds).toHaveLength(codecs.length * records);
      expect(await readAll(backing.log, backing.deadLetterTopic)).toEqual([]);
    },
    TIMEOUT_MS,
  );
});
