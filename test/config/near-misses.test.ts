import { describe, expect, test } from "bun:test";
import { nearMisses } from "../../src/config/near-misses.ts";
import { settingsTable } from "../../src/config/settings.ts";
import { readConfig } from "../../src/config/config.ts";

const settings = settingsTable.map(([name]) => name);
const meantBy = (name: string, value = "x") =>
  nearMisses({ [name]: value }, settings).map((problem) => /did you mean ([A-Z_]+)\?/.exec(problem)?.[1]);

describe("a variable that is nearly a setting is refused, and the setting named", () => {
  test.each([
    ["a letter too few", "KAFKA_BROKER", "KAFKA_BROKERS"],
    ["a letter too few", "ORDER_TOPIC", "ORDERS_TOPIC"],
    ["a letter too many", "ORDERS_TOPICS", "ORDERS_TOPIC"],
    ["a letter too many", "DATA_DIRS", "DATA_DIR"],
    ["another number of words", "CONSUMERGROUP", "CONSUMER_GROUP"],
    ["another number of words", "DATADIR", "DATA_DIR"],
    ["another number of words", "KAFKA__BROKERS", "KAFKA_BROKERS"],
    ["small letters", "kafka_brokers", "KAFKA_BROKERS"],
    ["small letters, and one too few", "kafka_broker", "KAFKA_BROKERS"],
    ["other separators", "kafka.brokers", "KAFKA_BROKERS"],
    ["other separators", "KAFKA-BROKERS", "KAFKA_BROKERS"],
    ["two letters in the other order", "CART_PROT", "CART_PORT"],
    ["a letter too few", "PARTITONER", "PARTITIONER"],
    ["another letter", "TOPIC_PARTITIONZ", "TOPIC_PARTITIONS"],
    ["two slips", "KAFKA_BORKER", "KAFKA_BROKERS"],
    ["two slips", "ORDR_TOPIC", "ORDERS_TOPIC"],
    ["two slips", "ALLOW_HOSTS", "ALLOWED_HOSTS"],
    ["a word cut short", "KAFKA_SASL_USER", "KAFKA_SASL_USERNAME"],
    ["a word cut short", "KAFKA_SASL_PASS", "KAFKA_SASL_PASSWORD"],
    ["a word cut short", "TOPIC_PART", "TOPIC_PARTITIONS"],
    ["the last word left out", "KAFKA_TLS_CA", "KAFKA_TLS_CA_FILE"],
    ["the last word left out", "APPEND_WAIT_MS", "APPEND_WAIT_MS_MAX"],
    ["one of OpenTelemetry's", "OTEL_SERVICENAME", "OTEL_SERVICE_NAME"],
    ["one of OpenTelemetry's", "OTEL_EXPORTER_OTLP_ENDPONT", "OTEL_EXPORTER_OTLP_ENDPOINT"],
    ["what others call it", "KAFKA_BOOTSTRAP_SERVERS", "KAFKA_BROKERS"],
    ["what others call it", "BOOTSTRAP_SERVERS", "KAFKA_BROKERS"],
    ["what others call it", "bootstrap.servers", "KAFKA_BROKERS"],
    ["what others call it", "KAFKA_BROKER_LIST", "KAFKA_BROKERS"],
    ["what others call it", "CONSUMER_GROUP_ID", "CONSUMER_GROUP"],
    ["what others call it", "KAFKA_SESSION_TIMEOUT_MS", "SESSION_TIMEOUT_MS"],
    ["what others call it", "DATA_DIRECTORY", "DATA_DIR"],
  ])("%s: %s", (_, name, meant) => {
    expect(meantBy(name)).toEqual([meant]);
  });

  test("what others call it, beside the setting itself, is for another program", () => {
    const others = { KAFKA_BOOTSTRAP_SERVERS: "b:1", CONSUMER_GROUP_ID: "theirs" };
    expect(nearMisses({ ...others, KAFKA_BROKERS: "a:1", CONSUMER_GROUP: "ours" }, settings)).toEqual([]);
    expect(nearMisses({ ...others, KAFKA_BROKERS: " ", CONSUMER_GROUP: "ours" }, settings)).toEqual([
      expect.stringContaining("KAFKA_BOOTSTRAP_SERVERS is no setting; did you mean KAFKA_BROKERS?"),
    ]);
  });

  test("beside the right one too, among all other problems, and without its value", () => {
    const env = { KAFKA_BROKERS: "a:1", KAFKA_SASL_PASSWORDS: "hunter2", CART_PORT: "x" };
    expect(() => readConfig(env)).toThrow(
      expect.objectContaining({
        code: "CONFIG_INVALID",
        extra: { problems: [expect.stringContaining("did you mean KAFKA_SASL_PASSWORD?"), expect.stringContaining("CART_PORT")] },
      }),
    );
    expect(nearMisses(env, settings).join("")).not.toContain("hunter2");
  });
});

describe("a variable that is only related to a setting, or another program's, is left alone", () => {
  const others = [
    [
      "another program's Kafka",
      "KAFKA_HOME KAFKA_OPTS KAFKA_HEAP_OPTS KAFKA_BROKER_ID KAFKA_PORT KAFKA_HOST KAFKA_URL KAFKA_SSL",
    ],
    [
      "another program's Kafka",
      "KAFKA_TOPIC KAFKA_GROUP_ID GROUP_ID SPRING_KAFKA_BOOTSTRAP_SERVERS KAFKA_LOG_DIRS KAFKA_TLS_KEY_FILE",
    ],
    [
      "the other programs of a shop",
      "ORDERS_DB_PASSWORD MY_ORDER_TOPIC ORDERS_TOPIC_DLQ ORDER_HOST CART_HOST CART_URL USERS_TOPIC",
    ],
    ["Kubernetes' variables of services", "ORDER_SERVICE_HOST ORDER_SERVICE_PORT CART_SERVICE_PORT CART_PORT_8000_TCP"],
    [
      "what shells and systems set",
      "HOSTNAME HOSTTYPE HOSTS LOGNAME PATH HOME LANG DATABASE_DIR LOG_DIR XDG_DATA_DIRS XDG_DATA_HOME",
    ],
    [
      "words that are settings of others",
      "PARTITION PARTITIONS SESSION_TIMEOUT LOG_FILE ALLOWED_PORTS BACKOFF CONSUMER_ID TOPIC",
    ],
    ["a number of them", "KAFKA_BROKER_1 KAFKA_BROKERS2 DATA_DIR_2"],
    [
      "the rest of OpenTelemetry's",
      "OTEL_METRICS_EXPORTER OTEL_LOGS_EXPORTER OTEL_EXPORTER_OTLP_METRICS_ENDPOINT OTEL_EXPORTER_OTLP_LOGS_ENDPOINT " +
        "OTEL_BLRP_SCHEDULE_DELAY OTEL_BLRP_EXPORT_TIMEOUT OTEL_BLRP_MAX_QUEUE_SIZE OTEL_BLRP_MAX_EXPORT_BATCH_SIZE " +
        "OTEL_SPAN_EVENT_COUNT_LIMIT OTEL_SPAN_LINK_COUNT_LIMIT OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT OTEL_LINK_ATTRIBUTE_COUNT_LIMIT " +
        "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT OTEL_METRIC_EXPORT_INTERVAL OTEL_LOG_LEVEL OTEL_EXPORTER_OTLP_LOGS_HEADERS " +
        "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT OTEL_EXPORTER_OTLP_INSECURE OTEL_CONFIG_FILE",
    ],
  ] as const;
  test.each(others)("%s: %s", (_, names) => {
    for (const name of names.split(" ")) expect({ name, meant: meantBy(name) }).toEqual({ name, meant: [] });
  });

  test("Kubernetes' address of a service, whose name is chance", () => {
    expect(meantBy("ORDERS_PORT", "8001")).toEqual(["ORDER_PORT"]);
    expect(meantBy("ORDERS_PORT", "tcp://10.96.0.7:80")).toEqual([]);
  });

  test("one that is empty counts as unset", () => {
    expect(meantBy("KAFKA_BROKER", " ")).toEqual([]);
  });

  test("the settings themselves", () => {
    expect(nearMisses(Object.fromEntries(settings.map((name) => [name, "x"])), settings)).toEqual([]);
  });
});
