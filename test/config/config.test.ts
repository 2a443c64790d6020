import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { gatheredNames, settingsTable } from "../../src/config/settings.ts";
import { settingsHelp } from "../../src/config/help.ts";
import { type Env, readConfig } from "../../src/config/config.ts";
import { isAppError } from "../../src/errors.ts";

const pem = "-----BEGIN CERTIFICATE-----";
const anyFile = () => pem;

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
  test("an empty environment gives the table's defaults", () => {
    const { log, dead_letter_topic, traces, secrets, allowed_hosts, members, ...config } = readConfig({});
    expect({ log, traces, secrets, allowed_hosts, members }).toEqual({
      log: { kind: "embedded", path: "data/log.sqlite" },
      traces: undefined,
      secrets: [],
      allowed_hosts: [],
      members: 1,
    });
    expect(dead_letter_topic).toBe("orders.events.dlq");
    const read = ["ALLOWED_HOSTS", "MEMBERS"];
    const single = settingsTable.filter(([name]) => !gatheredNames.has(name) && !read.includes(name));
    expect(config).toEqual(Object.fromEntries(single.map(([name, setting]) => [name.toLowerCase(), setting.default])) as never);
  });

  test("clients and other programs rely on some of the defaults", () => {
    // The Python predecessor's group is order-service; its members cannot share a group with ours.
    expect(readConfig({})).toMatchObject({
      cart_port: 8000,
      order_port: 8001,
      orders_topic: "orders.events",
      consumer_group: "order-processing",
      partitioner: "murmur2",
    });
  });

  test("an empty variable counts as unset, as docker compose passes it", () => {
    expect(readConfig({ KAFKA_BROKERS: "", CART_PORT: " ", KAFKA_SASL_PASSWORD: "" })).toEqual(readConfig({}));
  });

  test("brokers, TLS and SASL", () => {
    const config = readConfig(
      {
        KAFKA_BROKERS: "redpanda-0:9092, 10.0.0.1:65535,[2001:db8::1]:9092 ,[::ffff:10.0.0.1]:9093",
        KAFKA_TLS: "TRUE",
        KAFKA_TLS_CA_FILE: "/ca.pem",
        KAFKA_SASL_MECHANISM: "SCRAM-SHA-256",
        KAFKA_SASL_USERNAME: "orders",
        KAFKA_SASL_PASSWORD: " spaces count ",
      },
      (path) => `${pem} of ${path}`,
    );
    expect(config.log).toEqual({
      kind: "kafka",
      brokers: ["redpanda-0:9092", "10.0.0.1:65535", "[2001:db8::1]:9092", "[::ffff:10.0.0.1]:9093"],
      tls: { ca: `${pem} of /ca.pem` },
      sasl: { mechanism: "scram-sha-256", username: "orders", password: " spaces count " },
    });
    expect(config.secrets).toEqual([" spaces count "]);
  });

  test.each([
    ["[fe80::1%eth0]:9092", "A zone"],
    ["[::1]", "host:port"],
    ["[::1]:0", "host:port"],
    ["[::12345]:9092", "host:port"],
    ["[redpanda]:9092", "host:port"],
    ["::1:9092", "in brackets"],
    ["2001:db8::1", "in brackets"],
    ["a:1,::1", "in brackets"],
  ])("brokers at %s are refused, and it is said why: %s", (brokers, why) => {
    const [problem, ...more] = problemsOf({ KAFKA_BROKERS: brokers });
    expect(more).toEqual([]);
    expect(problem).toContain("KAFKA_BROKERS");
    expect(problem).toContain(why);
  });

  test.each([
    ["::1", "::1"],
    ["[::1]", "::1"],
    ["::", "::"],
    ["orders.example", "orders.example"],
  ])("to listen on HOST %s", (given, host) => {
    expect(readConfig({ HOST: given }).host).toBe(host);
  });

  test("allowed hosts, as they are compared: in small letters, without port, brackets and the root's dot", () => {
    const given = "Orders.Example., 10.0.0.5:8000, [2001:DB8:0::1]:8001,2001:db8::2,shop_1";
    const allowed_hosts = ["orders.example", "10.0.0.5", "2001:db8::1", "2001:db8::2", "shop_1"];
    expect(readConfig({ ALLOWED_HOSTS: given }).allowed_hosts).toEqual(allowed_hosts);
    for (const wrong of ["*", "http://orders.example", "a,,b", "a/b", "a:x", "[::1", "fe80::1%eth0:1"])
      expect({ wrong, problems: problemsOf({ ALLOWED_HOSTS: wrong }).length }).toEqual({ wrong, problems: 1 });
  });

  test("the URL that others are told, without a slash at its end", () => {
    for (const given of ["http://10.0.0.5:8001", "https://orders-0.example/peers", "http://[fd00::2]:8001"])
      expect([given, `${given}/`].map((url) => readConfig({ ADVERTISED_URL: url }).advertised_url)).toEqual([given, given]);
    const port = "A port is a number from 1 to 65535.";
    for (const [wrong, why] of [
      ["10.0.0.5:8001", "It begins with http:// or https://."],
      ["orders-0", "It begins with http:// or https://."],
      ["ftp://a", "It begins with http:// or https://."],
      ["http://", "such as http://10.0.0.5:8001."],
      ["http://u:p@a", "A name and a password do not belong in it."],
      ["http://a/?b", "It ends with the port or a path."],
      ["http://a#b", "It ends with the port or a path."],
      ["a b", "such as http://10.0.0.5:8001."],
      ["http://a:0", port],
      ["http://a:99999/peers", port],
      ["http://a:80b", port],
      ["http://[::1]:70000", port],
    ] as const)
      expect(problemsOf({ ADVERTISED_URL: wrong })).toEqual([expect.stringContaining(why)]);
  });

  test("the fleet's secret, from its file, which no message shows", () => {
    const secret = "0123456789abcdef".repeat(4);
    for (const content of [secret, `${secret}\n`, `${secret}\r\n`]) {
      const { peer_token_file, secrets } = readConfig({ PEER_TOKEN_FILE: "/run/secrets/peers" }, () => content);
      expect([peer_token_file, secrets]).toEqual([secret, [secret]]);
    }
    for (const content of ["", "short", `${secret}\n${secret}`, `${secret} `, "ä".repeat(40)]) {
      const [problem] = problemsOf({ PEER_TOKEN_FILE: "/run/secrets/peers" }, () => content);
      expect(problem).toContain("32 to 1024 visible ASCII characters");
      expect(problem).not.toContain(secret);
    }
    const missing = () => {
      throw new Error("ENOENT");
    };
    expect(problemsOf({ PEER_TOKEN_FILE: "/nowhere" }, missing)).toHaveLength(1);
  });

  test("what the topic is to have, and whether its start may be missing", () => {
    expect(readConfig({ TOPIC_REPLICATION: "3", LOG_START: "Accept" })).toMatchObject({
      topic_replication: 3,
      log_start: "accept",
    });
    for (const wrong of [{ TOPIC_REPLICATION: "0" }, { TOPIC_REPLICATION: "three" }, { LOG_START: "earliest" }])
      expect(problemsOf(wrong)).toHaveLength(1);
  });

  test("a port that Kubernetes set for a service of that name: how to get rid of it is said", () => {
    const [problem] = problemsOf({ CART_PORT: "tcp://10.0.0.1:8000" });
    expect(problem).toContain("enableServiceLinks: false");
    expect(problem).toContain("set CART_PORT in the pod's env");
  });

  test("all problems are reported at once, each with what would be right", () => {
    expect(
      problemsOf({
        CART_PORT: "eighty",
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
      '  CART_PORT is "eighty"; it must be an integer from 0 to 65535.',
      "  ORDER_PORT is 65536; it must be an integer from 0 to 65535.",
      '  KAFKA_BROKERS is "redpanda"; it must be host:port pairs separated by commas, such as redpanda-0:9092,[2001:db8::1]:9092.',
      '  ORDERS_TOPIC is "a b"; it must have 1 to 245 letters, digits, dots, underscores and hyphens, but not . or .. alone.',
      '  PARTITIONER is "random"; it must be one of murmur2, crc32.',
      "  APPEND_WAIT_MS_MAX is 4501; it must be an integer from 10 to 4500.",
      '  LOG_LEVEL is "loud"; it must be one of fatal, error, warn, info, debug, trace, silent.',
      "  BACKOFF_MS_MIN is 500; it must not be greater than BACKOFF_MS_MAX, which is 400.",
    ]);
  });

  const LOGIN = { KAFKA_BROKERS: "a:1", KAFKA_SASL_MECHANISM: "plain", KAFKA_SASL_USERNAME: "u" };
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
    ["a token with a file's line end", { OPERATOR_TOKEN: "night-shift\n" }],
    ["a token with spaces around it", { OPERATOR_TOKEN: " night-shift " }],
    ["a token that no header can have", { OPERATOR_TOKEN: "night-shift€" }],
    ["a password with a file's line end", { ...LOGIN, KAFKA_SASL_PASSWORD: "secret\n" }],
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

  test("refuses a certificate authority's file that holds none", () => {
    const env = { KAFKA_BROKERS: "a:1", KAFKA_TLS: "true", KAFKA_TLS_CA_FILE: "/ca.pem" };
    expect(problemsOf(env, () => "garbage")).toEqual([expect.stringContaining("PEM")]);
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

  test.each(["me:hunter2@redpanda:9092", "sasl://me:hunter2@redpanda:9092", "a:1,me:hunter2@redpanda:9092"])(
    "a password that stands in an address is not repeated: %s",
    (KAFKA_BROKERS) => {
      const [problem] = problemsOf({ KAFKA_BROKERS });
      expect(problem).toContain("…@redpanda:9092");
      expect(problem).not.toContain("hunter2");
    },
  );
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
