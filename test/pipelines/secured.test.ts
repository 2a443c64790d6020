import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Partitioners } from "kafkajs";
import { boundedPipeline } from "../../src/tools/move/connect/bounded-pipeline.ts";
import { connectSuite, runConnect } from "../support/brokers/connect.ts";
import { securedSuite, users } from "../support/brokers/secured-kafka.ts";
import { tempDir } from "../support/stores/temp-dir.ts";

const TIMEOUT_MS = 90_000;
const pipeline = readFileSync(join(import.meta.dir, "../../pipelines/replay.yaml"), "utf8");

await connectSuite("replay over TLS with a login", (connect) =>
  securedSuite(`replay over TLS with a login, by ${connect.kind}`, (kafka) => {
    test.each([users.plain, users.scram256, users.scram512])(
      "by TLS under a private authority and $mechanism records are replayed",
      async ({ mechanism, name, password }) => {
        await using dir = await tempDir();
        const topics = [`${name}.orders`, `${name}.replay`] as const;
        const admin = kafka().superClient.admin();
        await admin.connect();
        await admin.createTopics({ topics: topics.map((topic) => ({ topic, numPartitions: 1 })), waitForLeaders: true });
        const producer = kafka().superClient.producer({ createPartitioner: Partitioners.DefaultPartitioner });
        await producer.connect();
        await producer.send({ topic: topics[0], messages: ["first", "second"].map((value) => ({ partition: 0, value })) });
        await producer.disconnect();
        const file = join(dir.path, "replay.yaml");
        await writeFile(file, boundedPipeline(pipeline, topics[0], [{ partition: 0, from: 0, last: 1 }]));
        const settings = {
          KAFKA_BROKERS: `127.0.0.1:${kafka().port}`,
          KAFKA_TLS: "true",
          KAFKA_TLS_CA_FILE: kafka().caFile,
          KAFKA_SASL_MECHANISM: mechanism.toUpperCase(),
          KAFKA_SASL_USERNAME: name,
          REPLAY_TOPIC: topics[0],
          REPLAY_TARGET: topics[1],
          PIPELINE_PORT: "0",
        };
        const run = await runConnect(connect, ["run", file], { ...settings, KAFKA_SASL_PASSWORD: password });
        expect(run).toMatchObject({ ok: true });
        expect(await admin.fetchTopicOffsets(topics[1])).toMatchObject([{ offset: "2" }]);
        await admin.disconnect();
      },
      TIMEOUT_MS,
    );
  }),
);
