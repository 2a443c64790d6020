import { expect, test } from "bun:test";
import { connectSuite } from "../support/brokers/connect.ts";
import { createOrder } from "../support/http/http.ts";
import { runOperation } from "../support/programs/operations.ts";
import { startProgram } from "../support/programs/processes.ts";
import { type SecuredKafka, securedSuite, users } from "../support/brokers/secured-kafka.ts";

const TIMEOUT_MS = 60_000;

function securedReplay(kafka: () => SecuredKafka, args: readonly string[]): void {
  test.each([users.plain, users.scram256, users.scram512])(
    "by TLS under a private authority and $mechanism; the password is not said",
    async ({ mechanism, name, password }) => {
      const { port, caFile } = kafka();
      const connectBin = process.env["REDPANDA_CONNECT_BIN"];
      const env = {
        KAFKA_BROKERS: `127.0.0.1:${port}`,
        KAFKA_TLS: "true",
        KAFKA_TLS_CA_FILE: caFile,
        KAFKA_SASL_MECHANISM: mechanism,
        KAFKA_SASL_USERNAME: name,
        KAFKA_SASL_PASSWORD: password,
        ORDERS_TOPIC: `${name}.orders`,
        CONSUMER_GROUP: `${name}.group`,
        TOPIC_PARTITIONS: "3",
        ...(connectBin ? { REDPANDA_CONNECT_BIN: connectBin } : {}),
      };
      await using program = await startProgram({ role: "producer", env });
      await program.ready();
      expect((await createOrder(program.cartUrl, { order_id: "1", number_of_items: 1 })).status).toBe(200);
      const settings = { ...env, DATA_DIR: program.dataDir };
      const target = `${name}.replay.${args.length}`;
      const { code, output } = await runOperation("replay", ["--target", target, ...args], settings);
      expect({ code, output }).toEqual({ code: 0, output: expect.stringMatching(/All of 1 record of .* arrived/) });
      expect(output).not.toContain(password);
      const wrong = await runOperation("replay", ["--target", target, ...args], {
        ...settings,
        KAFKA_SASL_PASSWORD: "another-password",
      });
      expect(wrong).toEqual({ code: 2, output: expect.stringMatching(/authentication failed/i) });
    },
    TIMEOUT_MS,
  );
}

await securedSuite("replay on a secured broker without Connect", (kafka) => securedReplay(kafka, ["--direct"]));
await connectSuite("replay on a secured broker through Redpanda Connect", () =>
  securedSuite("replay on a secured broker through Redpanda Connect", (kafka) => securedReplay(kafka, [])),
);
