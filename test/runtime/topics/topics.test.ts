import { describe, expect, test } from "bun:test";
import type { Topics } from "../../../src/runtime/topics/topics.ts";
import { eventually } from "../rig.ts";
import { applied, described, MINUTE_MS, ON_KAFKA, topicsRig } from "./topics-rig.ts";

test("while the log is away it is said why and since when, at once and each minute, and the cause changes with it", async () => {
  const { topics: make, state, pass, warned } = topicsRig();
  state.away = "Broker 10.0.0.5:9092 refused the connection.";
  const topics = make();
  const preparing = topics.prepare(new AbortController().signal);
  expect(topics.waiting).toBeUndefined();
  await eventually(() => topics.waiting !== undefined);
  expect(topics.waiting).toEqual({
    sentence: "The log cannot be used: Broker 10.0.0.5:9092 refused the connection.",
    since_ms: 1_000_000,
  });
  await Bun.sleep(20);
  expect(warned()).toEqual(["The order service waits for the log: Broker 10.0.0.5:9092 refused the connection."]);

  state.away = "The group may not be described.";
  pass(MINUTE_MS);
  await eventually(() => warned().length === 2);
  expect(warned()[1]).toBe(
    `The order service still waits, since ${new Date(1_000_000).toISOString()}, for the log: The group may not be described.`,
  );
  await Bun.sleep(20);
  expect(warned()).toHaveLength(2);

  state.away = undefined;
  expect(await preparing).toBe("the log");
  expect(topics.waiting).toBeUndefined();
});

test("a log that does not answer at all is a reason, too", () => {
  const { topics: make, pass } = topicsRig();
  const topics = make();
  expect(topics.waiting).toBeUndefined();
  pass(1_000);
  expect(topics.waiting).toEqual({ sentence: "The log has not answered yet.", since_ms: 1_000_000 });
});

test("the topics are created with the replicas that are set, and what was created is told", async () => {
  const { topics: make, created, lines, warned } = topicsRig();
  await make(3).prepare(new AbortController().signal);
  expect(created).toEqual([
    ["orders.events", 12, { replicas: 3 }],
    ["orders.events.dlq", 12, { replicas: 3, record_bytes_max: 3_145_728 + 16_384 }],
  ]);
  expect(lines[0]).toEqual([
    "info",
    expect.stringMatching(/^Created the topic orders\.events: 12 partitions, 3 replicas, cleanup/),
  ]);
  expect(warned()).toEqual([]);
});

test("a topic that is missing although there is state of it from another cluster is not created either", async () => {
  const { topics: make, created } = topicsRig();
  const topics = make(3, () => applied("/data/state/lost/order-service-0/orders.events.0.sqlite", "lost"), ON_KAFKA);
  const ending = new AbortController();
  const preparing = topics.prepare(ending.signal);
  await eventually(() => topics.waiting !== undefined);
  expect(topics.waiting?.sentence).toContain("was that cluster lost");
  expect(created).toEqual([]);
  ending.abort();
  await preparing;
});

describe("on an embedded log", () => {
  const OTHER = "0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f";
  const path = `/data/state/${OTHER}/order-service-0/orders.events.0.sqlite`;

  async function waiting(topics: Topics) {
    const ending = new AbortController();
    const preparing = topics.prepare(ending.signal);
    await eventually(() => topics.waiting !== undefined);
    ending.abort();
    await preparing;
    return topics.waiting?.sentence;
  }

  test.each([
    ["has nothing", {}],
    ["has the topic, as another's has", { "orders.events": described({}), "orders.events.dlq": described({}) }],
  ])("in the place of the one that there is state of, nothing is begun: it %s", async (_, there) => {
    const { topics: make, created } = topicsRig(there);
    const sentence = await waiting(make(3, () => applied(path, OTHER), { DATA_DIR: "/data" }));
    expect(sentence).toContain(`/data/log.sqlite is another one than that of which there is state in ${path}`);
    expect(sentence).toContain("put the other's in their place");
    expect(sentence).toContain(`move /data/state/${OTHER} away`);
    expect(created).toEqual([]);
  });

  test("without the topic, where there is state of it from brokers, it is asked whether KAFKA_BROKERS was forgotten", async () => {
    const { topics: make, created } = topicsRig();
    const sentence = await waiting(
      make(3, () => applied("/data/state/a-cluster/order-service-0/orders.events.0.sqlite", "a-cluster")),
    );
    expect(sentence).toContain("was KAFKA_BROKERS forgotten?");
    expect(created).toEqual([]);
  });

  test("with the topic, state from brokers is no hindrance", async () => {
    const { topics: make } = topicsRig({ "orders.events": described({}), "orders.events.dlq": described({}) });
    expect(await make(3, () => applied("/data/a-store", "a-cluster")).prepare(new AbortController().signal)).toBe("the log");
  });
});

test("a topic that is missing although there is state of it is not created, until the state is moved away or the topic is there", async () => {
  const { topics: make, created, warned, there } = topicsRig();
  let state: string | undefined = "/data/state/the log/order-service-0/orders.events.0.sqlite";
  const topics = make(3, (logId) => (logId === "the log" ? applied(state) : undefined));
  const preparing = topics.prepare(new AbortController().signal);
  await eventually(() => topics.waiting !== undefined);
  expect(topics.waiting?.sentence).toStartWith(
    "The log cannot be used: The topic orders.events does not exist, and there is state of it in /data/state/the log/order-service-0/orders.events.0.sqlite: was it deleted?",
  );
  expect(warned()).toEqual([expect.stringContaining("Restore it from an archive")]);
  await Bun.sleep(20);
  expect([created, there]).toEqual([[], {}]);
  state = undefined;
  expect(await preparing).toBe("the log");
  expect(created.map(([topic]) => topic)).toEqual(["orders.events", "orders.events.dlq"]);
  expect(warned()).toHaveLength(1);
});

test("where there is state and the topic, it goes on", async () => {
  const { topics: make, created } = topicsRig({ "orders.events": described({}), "orders.events.dlq": described({}) });
  expect(await make(3, () => applied("/data/state")).prepare(new AbortController().signal)).toBe("the log");
  expect(created).toEqual([]);
});
