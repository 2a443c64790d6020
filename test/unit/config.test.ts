import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type Env, readConfig, settingsHelp } from "../../src/config.ts";
import { isAppError } from "../../src/errors.ts";

const anyFile = () => "PEM";

const problemsOf = (env: Env, readFile: (path: string) => string = anyFile): string[] => {
  try {
    readConfig(env, readFile);
  } catch (e) {
    if (!isAppError(e, "CONFIG_INVALID")) throw e;
    return e.message.split("\n").slice(1);
  }
  return [];
};

describe("readConfig", () => {
  test("an empty environment gives the defaults", () => {
    expect(readConfig({})).toEqual({
      host: "127.0.0.1",
      cart_port: 8000,
      order_port: 8001,
      data_dir: "./data",
      kafka: undefined,
      orders_topic: "orders.events",
      dead_letter_topic: "orders.events.dlq",
      topic_partitions: 12,
      consumer_group: "order-service",
      partitioner: "murmur2",
      session_timeout_ms: 10_000,
      partitions_settle_ms: 10_000,
      append_wait_ms_max: 4_000,
      append_queue_records_max: 10_000,
      append_batch_records_max: 1_000,
      read_wait_ms_max: 2_000,
      in_flight_requests_max: 4_096,
      body_bytes_max: 65_536,
      backoff_ms_min: 100,
      backoff_ms_max: 2_000,
      shutdown_wait_ms_max: 8_000,
      redpanda_connect_bin: undefined,
      operator_token: undefined,
      traces: undefined,
      log_level: "info",
      log_format: "auto",
    });
  });

  test("an empty variable counts as unset, as docker compose passes it", () => {
    expect(readConfig({ KAFKA_BROKERS: "", CART_PORT: " ", KAFKA_SASL_PASSWORD: "" })).toEqual(readConfig({}));
  });

  test("traces", () => {
    const endpoint = "http://otel-collector:4318";
    expect(readConfig({ OTEL_TRACES_SAMPLER_ARG: "0.5" }).traces).toBeUndefined();
    expect(readConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }).traces).toEqual({ endpoint, ratio: 1 });
    for (const [given, ratio] of [
      ["0", 0],
      ["0.25", 0.25],
      ["1.0", 1],
    ] as const)
      expect(readConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_TRACES_SAMPLER_ARG: given }).traces).toEqual({
        endpoint,
        ratio,
      });
    for (const wrong of ["-1", "1.1", "1e-3", ".", "all"])
      expect(() => readConfig({ OTEL_TRACES_SAMPLER_ARG: wrong })).toThrow("OTEL_TRACES_SAMPLER_ARG");
    expect(() => readConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: "otel-collector:4317" })).toThrow("http or https URL");
    expect(() => readConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://:4318" })).toThrow("must be a URL");
  });

  test("brokers, TLS and SASL", () => {
    const config = readConfig(
      {
        KAFKA_BROKERS: "redpanda-0:9092, 10.0.0.1:65535",
        KAFKA_TLS: "TRUE",
        KAFKA_TLS_CA_FILE: "/ca.pem",
        KAFKA_SASL_MECHANISM: "SCRAM-SHA-256",
        KAFKA_SASL_USERNAME: "orders",
        KAFKA_SASL_PASSWORD: " spaces count ",
      },
      (path) => `PEM of ${path}`,
    );
    expect(config.kafka).toEqual({
      brokers: ["redpanda-0:9092", "10.0.0.1:65535"],
      tls: { ca: "PEM of /ca.pem" },
      sasl: { mechanism: "scram-sha-256", username: "orders", password: " spaces count " },
    });
  });

  test("all problems are reported at once, each with what would be right", () => {
    expect(
      problemsOf({
        CART_PORT: "tcp://10.0.0.1:80",
        ORDER_PORT: "65536",
        APPEND_WAIT_MS_MAX: "4501",
        ORDERS_TOPIC: "a b",
        PARTITIONER: "random",
        KAFKA_BROKERS: "redpanda",
        LOG_LEVEL: "loud",
        BACKOFF_MS_MIN: "500",
        BACKOFF_MS_MAX: "400",
      }),
    ).toEqual([
      '  CART_PORT is "tcp://10.0.0.1:80"; it must be an integer from 0 to 65535.',
      "  ORDER_PORT is 65536; it must be an integer from 0 to 65535.",
      '  KAFKA_BROKERS is "redpanda"; it must be host:port pairs separated by commas, such as redpanda-0:9092,redpanda-1:9092.',
      '  ORDERS_TOPIC is "a b"; it must have 1 to 245 letters, digits, dots, underscores and hyphens, but not . or .. alone.',
      '  PARTITIONER is "random"; it must be one of murmur2, crc32.',
      "  APPEND_WAIT_MS_MAX is 4501; it must be an integer from 10 to 4500.",
      '  LOG_LEVEL is "loud"; it must be one of fatal, error, warn, info, debug, trace, silent.',
      "  BACKOFF_MS_MIN is 500; it must not be greater than BACKOFF_MS_MAX, which is 400.",
    ]);
  });

  const refused: [why: string, env: Env][] = [
    ["a number with a unit", { BODY_BYTES_MAX: "64k" }],
    ["a fraction", { BODY_BYTES_MAX: "100.5" }],
    ["hexadecimal", { CART_PORT: "0x50" }],
    ["one port for both", { CART_PORT: "9000", ORDER_PORT: "9000" }],
    ["a broker's port 0", { KAFKA_BROKERS: "a:0" }],
    ["a broker's port beyond 65535", { KAFKA_BROKERS: "a:65536" }],
    ["an empty broker", { KAFKA_BROKERS: "a:1,,b:2" }],
    ["a broker with a scheme", { KAFKA_BROKERS: "kafka://a:1" }],
    ["a topic of one dot", { ORDERS_TOPIC: "." }],
    ["a topic whose dead-letter topic is too long", { ORDERS_TOPIC: "a".repeat(246) }],
    ["half a login", { KAFKA_BROKERS: "a:1", KAFKA_SASL_USERNAME: "u" }],
    ["a login without brokers", { KAFKA_SASL_MECHANISM: "plain", KAFKA_SASL_USERNAME: "u", KAFKA_SASL_PASSWORD: "p" }],
    ["TLS without brokers", { KAFKA_TLS: "true" }],
    ["a certificate authority without TLS", { KAFKA_BROKERS: "a:1", KAFKA_TLS_CA_FILE: "/ca.pem" }],
    ["a batch longer than the queue", { APPEND_QUEUE_RECORDS_MAX: "10", APPEND_BATCH_RECORDS_MAX: "11" }],
  ];
  test.each(refused)("refuses %s, with one sentence", (_, env) => {
    expect(problemsOf(env)).toHaveLength(1);
  });

  test.each([
    ["that is not there", () => join(import.meta.dir, "no.pem"), "ENOENT"],
    ["that is a directory", () => import.meta.dir, "EISDIR"],
  ])("refuses a certificate authority's file %s, among the other problems", (_, path, why) => {
    const env = { KAFKA_BROKERS: "a:1", KAFKA_TLS: "true", KAFKA_TLS_CA_FILE: path(), CART_PORT: "x" };
    expect(() => readConfig(env)).toThrow(
      expect.objectContaining({
        code: "CONFIG_INVALID",
        extra: {
          problems: [
            expect.stringContaining("CART_PORT"),
            expect.stringMatching(
              new RegExp(`^KAFKA_TLS_CA_FILE is .*; it must be a file that can be read \\(${why}: .*\\)\\.$`),
            ),
          ],
        },
      }),
    );
  });

  test("a password is in no message and no detail, also when it is the problem", () => {
    const password = `hunter2${"x".repeat(1100)}`;
    try {
      readConfig({ KAFKA_BROKERS: "nonsense", KAFKA_SASL_PASSWORD: password });
      expect.unreachable();
    } catch (e) {
      if (!isAppError(e, "CONFIG_INVALID")) throw e;
      expect(e.message).toContain("KAFKA_SASL_PASSWORD");
      expect(JSON.stringify([e.message, e.extra])).not.toContain("hunter2");
    }
  });
});

test("settingsHelp names each setting once, with its default", () => {
  const lines = settingsHelp().split("\n");
  for (const [name, shown] of [
    ["CART_PORT", "8000"],
    ["KAFKA_BROKERS", "(unset)"],
    ["APPEND_WAIT_MS_MAX", "4000"],
    ["DATA_DIR", "./data"],
  ] as const) {
    const matching = lines.filter((line) => line.trim().startsWith(`${name} `));
    expect(matching).toHaveLength(1);
    expect(matching[0]).toContain(` ${shown} `);
  }
});
