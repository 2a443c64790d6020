import { expect, test } from "bun:test";
import { systemClock } from "../../src/clock.ts";
import { AppError } from "../../src/errors.ts";
import { KafkaLog } from "../../src/log/kafka/kafka-log.ts";

/** Peers that are no Kafka broker, as a wrong port or a proxy gives them: what each sends at the first bytes it reads. */
const PEERS: readonly (readonly [what: string, sent: Buffer])[] = [
  ["nothing but zeros", Buffer.alloc(64)],
  ["negative lengths", Buffer.alloc(64, 0xff)],
  ["a frame of no bytes", Buffer.alloc(4)],
  ["a frame shorter than a correlation id", Buffer.from([0, 0, 0, 2, 0, 0])],
  ["an HTTP/2 SETTINGS frame (RFC 9113, 6.5)", Buffer.from("000000040000000000", "hex")],
  ["the right correlation id, and too little", Buffer.from([0, 0, 0, 6, 0, 0, 0, 0, 0, 0])],
];

test.each(PEERS)("a peer that sends %s is an outage, told as no broker", async (_, sent) => {
  using peer = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: (socket) => void socket.write(sent) } });
  const log = new KafkaLog({
    brokers: [`127.0.0.1:${peer.port}`],
    clientId: "test",
    clock: systemClock,
    random: Math.random,
    session_timeout_ms: 6_000,
    backoff_ms_min: 10,
    backoff_ms_max: 100,
  });
  const failure = await log.id().catch((e: unknown) => e);
  expect(failure).toBeInstanceOf(AppError);
  expect((failure as AppError).code).toBe("LOG_UNAVAILABLE");
  expect((failure as AppError).message).toMatch(/not in Kafka's protocol|timed out/);
  await log.close();
});
