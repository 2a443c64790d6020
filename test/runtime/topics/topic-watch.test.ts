import { describe, expect, test } from "bun:test";
import { readiness } from "../../../src/http/health.ts";
import { Metrics } from "../../../src/telemetry/metrics.ts";
import { described, ROOMY, topicsRig, watched } from "./topics-rig.ts";

test("a topic that is created with one replica is warned of, and again once there are more brokers", async () => {
  const { topics: make, state, there, warned, minute } = topicsRig();
  state.brokers = 1;
  const topics = make();
  await using _ = await watched(topics);
  expect(warned()).toEqual([
    expect.stringContaining("orders.events was created with 1 replica"),
    expect.stringContaining("orders.events.dlq was created with 1 replica"),
  ]);
  expect(topics.warnings).toEqual([]);
  for (const [topic, description] of Object.entries(there)) there[topic] = { ...description, brokers: 2 };
  await minute();
  expect(warned().slice(2)).toEqual([
    expect.stringMatching(/^The topic orders\.events has 1 replica of each partition on 2 brokers/),
    expect.stringMatching(/^The topic orders\.events\.dlq has 1 replica/),
  ]);
});

test("one that has no room for it is warned of", async () => {
  const { topics: make } = topicsRig({ "orders.events": described({}), "orders.events.dlq": described({}) });
  const topics = make();
  await using _ = await watched(topics);
  expect(topics.warnings).toEqual([
    {
      topic: "orders.events.dlq",
      code: "batch-bytes",
      detail: expect.stringContaining("may need 3162112, and larger ones are cut"),
    },
  ]);
});

test("a topic that cannot be described is used all the same", async () => {
  const { topics: make, state } = topicsRig();
  state.describable = false;
  const topics = make();
  await using _ = await watched(topics);
  expect([topics.waiting, topics.warnings]).toEqual([undefined, []]);
});

test("a setting that may cost records is warned of when it is found, when it changes and each hour, and taken back", async () => {
  const {
    topics: make,
    there,
    state,
    lines,
    warned,
    minute,
  } = topicsRig({
    "orders.events": described({ "cleanup.policy": "compact" }),
    "orders.events.dlq": described(ROOMY),
  });
  const topics = make();
  await using _ = await watched(topics);
  expect(topics.warnings).toEqual([
    { topic: "orders.events", code: "compacted", detail: expect.stringContaining("cleanup.policy=compact") },
  ]);
  for (let n = 0; n < 59; n++) await minute();
  expect(warned()).toEqual([topics.warnings[0]!.detail]);
  await minute();
  expect(warned()).toEqual([topics.warnings[0]!.detail, topics.warnings[0]!.detail]);

  there["orders.events"] = described({ "cleanup.policy": "compact,delete" });
  await minute();
  expect(warned()).toHaveLength(3);
  // A check that fails reports nothing new.
  state.away = "away";
  await minute();
  expect(topics.warnings).toHaveLength(1);
  state.away = undefined;
  there["orders.events"] = described({});
  await minute();
  expect(topics.warnings).toEqual([]);
  // The last line tells its reader that there is nothing left to do.
  expect(lines.at(-1)).toEqual([
    "info",
    "No longer so: The topic orders.events is compacted (cleanup.policy=compact,delete): a record goes once a later one has its key, so a state that is made anew lacks orders, and 404 is answered for them.",
  ]);
});

test("settings that may not be read are told once, as no warning", async () => {
  const description = { topicId: undefined, partitions: 4, replicas: 3, brokers: 3, settings: {} };
  const { topics: make, lines, minute } = topicsRig({ "orders.events": description, "orders.events.dlq": description });
  const topics = make();
  await using _ = await watched(topics);
  for (let n = 0; n < 61; n++) await minute();
  expect(lines).toEqual([
    ["info", expect.stringContaining("The settings of the topic orders.events cannot be read")],
    ["info", expect.stringContaining("The settings of the topic orders.events.dlq cannot be read")],
  ]);
  expect(topics.warnings).toEqual([]);
});

test("readiness tells the warnings, and is what it was", async () => {
  const { topics: make } = topicsRig({
    "orders.events": described({ "retention.ms": "1" }),
    "orders.events.dlq": described(ROOMY),
  });
  const topics = make();
  await using _ = await watched(topics);
  const set = { partitionCount: 4, held: () => [], get: () => undefined, membership: "stable", topics };
  const health = () => readiness({ ...set, readFailure: undefined, standstill: undefined, restore: undefined });
  expect(health()).toEqual({ status: "ready", warnings: topics.warnings, partitions: [] });
  expect(topics.warnings.map(({ topic, code }) => [topic, code])).toEqual([["orders.events", "retention"]]);
});

test("each concern that there can be is a series, 1 where it is found", async () => {
  const { topics: make } = topicsRig({
    "orders.events": described({ "retention.ms": "1" }),
    "orders.events.dlq": described(ROOMY),
  });
  const topics = make();
  await using _ = await watched(topics);
  const metrics = new Metrics("cart", () => 0);
  const set = { partitionCount: 4, held: () => [], readFailure: undefined, standstill: undefined, restore: undefined, topics };
  metrics.watch(() => set);
  const series = (await metrics.text()).split("\n").filter((line) => line.startsWith("orders_topic_concern{"));
  expect(series).toHaveLength(24);
  expect(series.filter((line) => line.endsWith(" 1"))).toEqual([
    'orders_topic_concern{topic="orders.events",concern="retention",component="cart"} 1',
  ]);
});

describe("the first records that a topic loses", () => {
  const heads = (...startOffsets: number[]) => startOffsets.map((startOffset, partition) => ({ partition, startOffset }));

  test("are logged when that begins, each hour however far the log's start moves on, and once when it is over", () => {
    const { topics: make, lines, warned, pass } = topicsRig();
    const topics = make();
    const look = (startOffset: number) => (pass(5_000), topics.noteLostHeads(heads(startOffset)));
    for (let n = 0; n < 720; n++) look(n + 1);
    expect(warned()).toEqual([expect.stringContaining("partition 0 begins at offset 1)")]);
    expect(topics.warnings[0]?.detail).toContain("partition 0 begins at offset 720)");
    look(721);
    expect(warned().slice(1)).toEqual([expect.stringContaining("partition 0 begins at offset 721)")]);
    for (let n = 0; n < 24; n++) {
      pass(5_000);
      topics.noteLostHeads([]);
    }
    expect(topics.warnings).toEqual([]);
    // What the log has lost does not come back: the partition has moved away, or a snapshot has what is gone.
    expect(lines.slice(2)).toEqual([
      ["info", expect.stringMatching(/^No longer so of the partitions held here: The topic orders\.events has lost/)],
    ]);
  });

  test("are logged again when another partition lost some, once a minute, also where that comes and goes", () => {
    const { topics: make, lines, warned, pass } = topicsRig();
    const topics = make();
    topics.noteLostHeads(heads(1));
    for (let n = 0; n < 12; n++) {
      expect(warned()).toHaveLength(1);
      pass(5_000);
      topics.noteLostHeads(n % 2 === 0 ? [] : heads(1, 4));
    }
    expect(lines.slice(1)).toEqual([["warn", expect.stringContaining("partition 1 begins at offset 4)")]]);
  });
});
