import { expect, test } from "bun:test";
import { createRequire } from "node:module";
import { Kafka, logLevel } from "kafkajs";
import { systemClock } from "../../../src/system/clock.ts";
import { checkPrivateParts } from "../../../src/log/kafka/connection/cluster.ts";
import { KafkaLog } from "../../../src/log/kafka/kafka-log.ts";

const requireOf = createRequire(import.meta.url);
type Prototype = { prototype: Record<string, unknown> };
const connectionOf = (requireOf("kafkajs/src/network/connection") as Prototype).prototype;
const connectionPoolOf = (requireOf("kafkajs/src/network/connectionPool") as Prototype).prototype;
const brokerOf = (requireOf("kafkajs/src/broker") as Prototype).prototype;

const openLog = () =>
  new KafkaLog({
    brokers: ["127.0.0.1:1"],
    clientId: "seam",
    session_timeout_ms: 6_000,
    backoff_ms_min: 50,
    backoff_ms_max: 500,
    clock: systemClock,
    random: Math.random,
  });

function without(prototype: Record<string, unknown>, part: string, act: () => void): void {
  const kept = prototype[part];
  delete prototype[part];
  try {
    act();
  } finally {
    prototype[part] = kept;
  }
}

test.each([
  ["connection", connectionOf, "send"],
  ["connection pool", connectionPoolOf, "getConnection"],
  ["broker", brokerOf, "offsetCommit"],
  ["broker", brokerOf, "initProducerId"],
] as const)("a kafkajs whose private %s has changed is refused at once, by the part's name", (what, prototype, part) => {
  without(prototype, part, () => expect(openLog).toThrow(`its ${what} has no ${part}`));
  expect(openLog).not.toThrow();
});

test("a kafkajs without the private cluster is refused at once", () => {
  const kafka = new Kafka({ brokers: ["127.0.0.1:1"], logLevel: logLevel.NOTHING });
  expect(() => checkPrivateParts(kafka)).not.toThrow();
  expect(() => checkPrivateParts({} as Kafka)).toThrow("its client has no createCluster");
});

/**
 * Produce hands over its batches as chunks, which only the patched kafkajs can write; unpatched it also sets negative
 * timers.
 */
test("kafkajs carries our patch: a request is written from chunks, its length in front", async () => {
  const write = requireOf("kafkajs/src/protocol/request") as (options: object) => Promise<{ buffer: Buffer }>;
  const request = { apiKey: 0, apiVersion: 7, encode: async () => ({ chunks: [Buffer.from("ab"), Buffer.from("cde")] }) };
  const { buffer } = await write({ correlationId: 258, clientId: "me", request });
  expect(buffer.toString("latin1")).toBe("\0\0\0\x11\0\0\0\x07\0\0\x01\x02\0\x02meabcde");
});
