import { describe, expect, test } from "bun:test";
import { type Clock, systemClock } from "../../../src/system/clock.ts";
import { readConfig } from "../../../src/config/config.ts";
import { readiness } from "../../../src/http/health.ts";
import { AppError } from "../../../src/errors.ts";
import type { CreatedTopic, Log, TopicDescription, TopicOptions } from "../../../src/log/port.ts";
import type { StateOf } from "../../../src/runtime/store/state-dir.ts";
import { Topics } from "../../../src/runtime/topics/topics.ts";
import type { Logger } from "../../../src/telemetry/logger.ts";
import { Metrics } from "../../../src/telemetry/metrics.ts";
import { eventually } from "../rig.ts";

const MINUTE_MS = 60_000;
const GOOD: Readonly<Record<string, string>> = {
  "cleanup.policy": "delete",
  "retention.ms": "-1",
  "retention.bytes": "-1",
  "max.message.bytes": "3145728",
};
/** Room for the letters of such a topic. */
const ROOMY = { "max.message.bytes": "4194304" };

const applied = (path: string | undefined, logId = "the log") => (path === undefined ? undefined : { path, logId });

const ON_KAFKA = { KAFKA_BROKERS: "127.0.0.1:9092" };

/** A log whose topics are as the test says, and a clock that the test turns. */
function rig(there: Record<string, TopicDescription> = {}) {
  let now_ms = 1_000_000;
  let wake = () => {};
  const lines: [level: string, message: string][] = [];
  const created: [topic: string, partitions: number, options: TopicOptions | undefined][] = [];
  const state = { away: undefined as string | undefined, brokers: 3, describable: true };
  const clock: Clock = {
    ...systemClock,
    now_ms: () => now_ms,
    wall_ms: () => now_ms,
    sleep: (ms, signal) => {
      if (ms < 1_000) return systemClock.sleep(1, signal);
      return new Promise((resolve) => {
        wake = resolve;
        signal?.addEventListener("abort", () => resolve());
      });
    },
  };
  const answer = async <T>(value: () => T): Promise<T> => {
    if (state.away !== undefined) throw new AppError("LOG_UNAVAILABLE", state.away);
    return value();
  };
  const log = {
    id: () => answer(() => "the log"),
    partitionCount: (topic: string) => answer(() => there[topic]?.partitions ?? 0),
    describe: (topic: string) =>
      state.describable ? answer(() => there[topic]) : Promise.reject(new AppError("LOG_UNAVAILABLE", "no description")),
    createTopic: (topic: string, partitions: number, options?: TopicOptions) =>
      answer((): CreatedTopic | undefined => {
        if (there[topic]) return undefined;
        created.push([topic, partitions, options]);
        const bytes = options?.record_bytes_max === undefined ? {} : { "max.message.bytes": String(options.record_bytes_max) };
        const made = { partitions, replicas: options?.replicas ?? 1, settings: { ...GOOD, ...bytes } };
        there[topic] = { ...made, topicId: undefined, brokers: state.brokers };
        return made;
      }),
  } as unknown as Log;
  const say = (level: string) => (_: unknown, message: string) => void lines.push([level, message]);
  const logger = { info: say("info"), warn: say("warn"), debug: () => undefined } as unknown as Logger;
  return {
    state,
    there,
    lines,
    created,
    topics: (replicas?: number, stateOf?: StateOf, settings: Record<string, string> = {}) =>
      new Topics({
        stateOf,
        owner: "The order service",
        config: { ...readConfig({ BACKOFF_MS_MIN: "1", BACKOFF_MS_MAX: "2", ...settings }), topic_replication: replicas },
        log,
        clock,
        random: () => 0.5,
        logger,
      }),
    warned: () => lines.filter(([level]) => level === "warn").map(([, message]) => message),
    pass: (ms: number) => void (now_ms += ms),
    minute: async (): Promise<void> => {
      now_ms += MINUTE_MS;
      wake();
      await Bun.sleep(5);
    },
  };
}

const described = (settings: Record<string, string>, replicas = 3): TopicDescription => ({
  topicId: undefined,
  partitions: 4,
  replicas,
  brokers: 3,
  settings: { ...GOOD, ...settings },
});

/** Prepared, and looked at once. */
async function watched(topics: Topics) {
  const ending = new AbortController();
  await topics.prepare(ending.signal);
  const watching = topics.watch(ending.signal);
  await Bun.sleep(5);
  return { [Symbol.asyncDispose]: () => (ending.abort(), watching) };
}

test("while the log is away it is said why and since when, at once and each minute, and the cause changes with it", async () => {
  const { topics: make, state, pass, warned } = rig();
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
  const { topics: make, pass } = rig();
  const topics = make();
  expect(topics.waiting).toBeUndefined();
  pass(1_000);
  expect(topics.waiting).toEqual({ sentence: "The log has not answered yet.", since_ms: 1_000_000 });
});

test("the topics are created with the replicas that are set, and what was created is told", async () => {
  const { topics: make, created, lines, warned } = rig();
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

test("a topic that is created with one replica is warned of, and again once there are more brokers", async () => {
  const { topics: make, state, there, warned, minute } = rig();
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

test("a topic that is missing although there is state of it from another cluster is not created either", async () => {
  const { topics: make, created } = rig();
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
    const { topics: make, created } = rig(there);
    const sentence = await waiting(make(3, () => applied(path, OTHER), { DATA_DIR: "/data" }));
    expect(sentence).toContain(`/data/log.sqlite is another one than that of which there is state in ${path}`);
    expect(sentence).toContain("put the other's in their place");
    expect(sentence).toContain(`move /data/state/${OTHER} away`);
    expect(created).toEqual([]);
  });

  test("without the topic, where there is state of it from brokers, it is asked whether KAFKA_BROKERS was forgotten", async () => {
    const { topics: make, created } = rig();
    const sentence = await waiting(
      make(3, () => applied("/data/state/a-cluster/order-service-0/orders.events.0.sqlite", "a-cluster")),
    );
    expect(sentence).toContain("was KAFKA_BROKERS forgotten?");
    expect(created).toEqual([]);
  });

  test("with the topic, state from brokers is no hindrance", async () => {
    const { topics: make } = rig({ "orders.events": described({}), "orders.events.dlq": described({}) });
    expect(await make(3, () => applied("/data/a-store", "a-cluster")).prepare(new AbortController().signal)).toBe("the log");
  });
});

test("a topic that is missing although there is state of it is not created, until the state is moved away or the topic is there", async () => {
  const { topics: make, created, warned, there } = rig();
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
  const { topics: make, created } = rig({ "orders.events": described({}), "orders.events.dlq": described({}) });
  expect(await make(3, () => applied("/data/state")).prepare(new AbortController().signal)).toBe("the log");
  expect(created).toEqual([]);
});

test("dead letters that are gone with their topic are told, whoever made it anew, and how to have them again", async () => {
  const gone = (warnings: readonly string[]) =>
    warnings.filter((warning) => warning.includes("the letters that were in it are gone"));
  const letters = (topicId: string) => ({ ...described(ROOMY), topicId });
  const { topics: make, there, warned, minute } = rig({ "orders.events": described({}), "orders.events.dlq": letters("a") });
  const topics = make(3);
  await using _ = await watched(topics);
  await minute();
  expect(gone(warned())).toEqual([]);
  // By another program.
  there["orders.events.dlq"] = letters("b");
  await minute();
  expect(gone(warned())).toEqual([expect.stringContaining("POST /partitions/<partition>/rebuild")]);
  // By the service.
  delete there["orders.events.dlq"];
  await topics.create();
  expect(gone(warned())).toHaveLength(2);
  await minute();
  expect(gone(warned())).toHaveLength(2);
});

test("so are those that are gone when a service with state starts, and none are where there is none", async () => {
  for (const [state, warnings] of [
    ["/data/state", 1],
    [undefined, 0],
  ] as const) {
    const { topics: make, warned } = rig({ "orders.events": described({}) });
    await make(3, () => applied(state)).prepare(new AbortController().signal);
    expect(warned().filter((warning) => warning.includes("the letters that were in it are gone"))).toHaveLength(warnings);
  }
});

test("the dead letters of a topic that was there have room for its largest record", async () => {
  const { topics: make, created } = rig({ "orders.events": described({ "max.message.bytes": "5242880" }) });
  await make().prepare(new AbortController().signal);
  expect(created).toEqual([["orders.events.dlq", 4, { replicas: undefined, record_bytes_max: 5_242_880 + 16_384 }]]);
});

test("one that has no room for it is warned of", async () => {
  const { topics: make } = rig({ "orders.events": described({}), "orders.events.dlq": described({}) });
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
  const { topics: make, state } = rig();
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
  } = rig({
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
  // A look that fails says nothing new.
  state.away = "away";
  await minute();
  expect(topics.warnings).toHaveLength(1);
  state.away = undefined;
  there["orders.events"] = described({});
  await minute();
  expect(topics.warnings).toEqual([]);
  // Who reads the last line does not act once more.
  expect(lines.at(-1)).toEqual([
    "info",
    "No longer so: The topic orders.events is compacted (cleanup.policy=compact,delete): a record goes once a later one has its key, so a state that is made anew lacks orders, and 404 is answered for them.",
  ]);
});

test("settings that may not be read are told once, as no warning", async () => {
  const description = { topicId: undefined, partitions: 4, replicas: 3, brokers: 3, settings: {} };
  const { topics: make, lines, minute } = rig({ "orders.events": description, "orders.events.dlq": description });
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
  const { topics: make } = rig({ "orders.events": described({ "retention.ms": "1" }), "orders.events.dlq": described(ROOMY) });
  const topics = make();
  await using _ = await watched(topics);
  const set = { partitionCount: 4, held: () => [], get: () => undefined, membership: "stable", topics };
  const health = () => readiness({ ...set, readFailure: undefined, standstill: undefined, restore: undefined });
  expect(health()).toEqual({ status: "ready", warnings: topics.warnings, partitions: [] });
  expect(topics.warnings.map(({ topic, code }) => [topic, code])).toEqual([["orders.events", "retention"]]);
});

test("each concern that there can be is a series, 1 where it is found", async () => {
  const { topics: make } = rig({ "orders.events": described({ "retention.ms": "1" }), "orders.events.dlq": described(ROOMY) });
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
