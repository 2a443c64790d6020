import { expect, test } from "bun:test";
import { systemClock } from "../../../src/system/clock.ts";
import { AppError } from "../../../src/errors.ts";
import { KafkaLog } from "../../../src/log/kafka/kafka-log.ts";

/**
 * Peers that are not Kafka brokers, as behind a wrong port or a proxy, and what each sends on the first bytes it reads.
 */
const PEERS: readonly (readonly [what: string, sent: Buffer])[] = [
  ["nothing but zeros", Buffer.alloc(64)],
  ["negative lengths", Buffer.alloc(64, 0xff)],
  ["a frame of no bytes", Buffer.alloc(4)],
  ["a frame shorter than a correlation id", Buffer.from([0, 0, 0, 2, 0, 0])],
  ["an HTTP/2 SETTINGS frame (RFC 9113, 6.5)", Buffer.from("000000040000000000", "hex")],
  ["the right correlation id, and too little", Buffer.from([0, 0, 0, 6, 0, 0, 0, 0, 0, 0])],
];
/** Peers whose first bytes, read as Kafka's length prefix, give a length that no answer has. */
const ENDLESS: readonly (readonly [what: string, sent: Buffer])[] = [
  ["an HTTP answer", Buffer.from("HTTP/1.1 200 OK\r\n\r\n")],
  ["an SSH banner", Buffer.from("SSH-2.0-OpenSSH_9.6\r\n")],
  ["a Redis error", Buffer.from("-ERR unknown command\r\n")],
  ["a TLS alert (RFC 8446, 6)", Buffer.from("15030300020246", "hex")],
  ["a length of 2 GiB", Buffer.from("7fffffff", "hex")],
];

/** The log's error about the brokers at this address. */
async function failureOf(port: number): Promise<string> {
  const log = new KafkaLog({
    brokers: [`127.0.0.1:${port}`],
    clientId: "test",
    clock: systemClock,
    random: Math.random,
    session_timeout_ms: 6_000,
    backoff_ms_min: 10,
    backoff_ms_max: 100,
  });
  const failure = await log.id().catch((e: unknown) => e);
  await log.close();
  expect(failure).toBeInstanceOf(AppError);
  expect((failure as AppError).code).toBe("LOG_UNAVAILABLE");
  return (failure as AppError).message;
}

test.each(PEERS)("a peer that sends %s is an outage, told as no broker", async (_, sent) => {
  using peer = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: (socket) => void socket.write(sent) } });
  expect(await failureOf(peer.port)).toMatch(/not in Kafka's protocol|timed out/);
});

test.each(ENDLESS)("a peer that sends %s, and goes on, is told as no broker at once and hung up on", async (_, sent) => {
  const hungUp = Promise.withResolvers<void>();
  using peer = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data: (socket) => void socket.write(sent),
      drain: (socket) => void socket.write(Buffer.alloc(65_536)),
      error: () => undefined,
      close: () => hungUp.resolve(),
    },
  });
  expect(await failureOf(peer.port)).toContain("not in Kafka's protocol");
  await hungUp.promise;
});

test("a peer that answers nothing but its versions, as one that wants a login, is told with what to look at", async () => {
  // An ApiVersions answer, version 2: no error, only ApiVersions in versions 0 to 2, no throttling.
  const versions = Buffer.from("00000000000100120000000200000000", "hex");
  const API_VERSIONS = 18;
  using peer = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data: (socket, request) => {
        const length = Buffer.alloc(4);
        length.writeInt32BE(4 + versions.length);
        if (request.readInt16BE(4) === API_VERSIONS) socket.write(Buffer.concat([length, request.subarray(8, 12), versions]));
        else socket.end();
      },
    },
  });
  expect(await failureOf(peer.port)).toMatch(/see whether KAFKA_BROKERS .* KAFKA_TLS and KAFKA_SASL_MECHANISM/);
});
