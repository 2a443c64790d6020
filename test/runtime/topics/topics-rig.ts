import { type Clock, systemClock } from "../../../src/system/clock.ts";
import { readConfig } from "../../../src/config/config.ts";
import { AppError } from "../../../src/errors.ts";
import type { CreatedTopic, Log, TopicDescription, TopicOptions } from "../../../src/log/port.ts";
import type { StateOf } from "../../../src/runtime/store/state-dir.ts";
import { Topics } from "../../../src/runtime/topics/topics.ts";
import type { Logger } from "../../../src/telemetry/logger.ts";

export const MINUTE_MS = 60_000;
const GOOD: Readonly<Record<string, string>> = {
  "cleanup.policy": "delete",
  "retention.ms": "-1",
  "retention.bytes": "-1",
  "max.message.bytes": "3145728",
};
/** Settings with room for the letters of such a topic. */
export const ROOMY = { "max.message.bytes": "4194304" };

export const applied = (path: string | undefined, logId = "the log") => (path === undefined ? undefined : { path, logId });

export const ON_KAFKA = { KAFKA_BROKERS: "127.0.0.1:9092" };

/** A log whose topics are as the test says, and a clock that the test advances. */
export function topicsRig(there: Record<string, TopicDescription> = {}) {
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

export const described = (settings: Record<string, string>, replicas = 3): TopicDescription => ({
  topicId: undefined,
  partitions: 4,
  replicas,
  brokers: 3,
  settings: { ...GOOD, ...settings },
});

/** Prepares the topics, and waits for the first check. */
export async function watched(topics: Topics) {
  const ending = new AbortController();
  await topics.prepare(ending.signal);
  const watching = topics.watch(ending.signal);
  await Bun.sleep(5);
  return { [Symbol.asyncDispose]: () => (ending.abort(), watching) };
}
