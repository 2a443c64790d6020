import { join } from "node:path";
import { systemClock } from "../../../src/system/clock.ts";
import type { Log, NewRecord, TopicDescription } from "../../../src/log/port.ts";
import { runArchive } from "../../../src/tools/archive/archive-command.ts";
import { runReplay } from "../../../src/tools/replay/replay-command.ts";
import { type OperationsRig, operationsRig } from "../rig.ts";

/** The topic that is filled as other people's programs and brokers do it. */
export const SOURCE = "foreign";
/**
 * Timestamps in milliseconds, seconds and nanoseconds, before all dates, at the ends of 64 bits, and beyond what a
 * double holds.
 */
export const STAMPS = [
  1_795_613_603_669,
  1_795_613_603,
  1_795_613_603_669_123_457n,
  -8_640_000_000_000_001,
  9_223_372_036_854_775_807n,
  -9_223_372_036_854_775_808n,
  9_007_199_254_740_993n,
  0,
  -1,
];

export const record = (n: number, more: Partial<NewRecord> = {}): NewRecord => ({
  partition: 0,
  key: `ORD-${n}`,
  value: `{"n":${n}}`,
  headers: [],
  timestamp_ms: 1_795_000_000_000 + n,
  ...more,
});
export const stamped = () => STAMPS.map((timestamp_ms, n) => record(n, { timestamp_ms }));

export async function rigWith(records: readonly NewRecord[], partitions = 1): Promise<OperationsRig> {
  const rig = await operationsRig(1);
  await rig.log.createTopic(SOURCE, partitions, { anyTimestamp: true, record_bytes_max: 8 * 1024 * 1024 });
  if (records.length > 0) await rig.log.producer().append(SOURCE, records);
  return rig;
}

/** The log, in which a topic is described with these settings. */
export function described(log: Log, topic: string, settings: Record<string, string>): Log {
  const describeTopic = async (name: string): Promise<TopicDescription | undefined> => {
    const found = await log.describe(name);
    return found && name === topic ? { ...found, settings: { ...found.settings, ...settings } } : found;
  };
  return replaced(log, { describe: describeTopic });
}

export function replaced(log: Log, methods: Partial<Log>): Log {
  return new Proxy(log, {
    get: (target, name) => {
      if (name in methods) return methods[name as keyof Log];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  });
}

export const replay = (rig: OperationsRig, args = "", more: Parameters<OperationsRig["run"]>[2] = {}) =>
  rig.run(runReplay, `--topic ${SOURCE} ${args}`, more);
export const archive = (rig: OperationsRig, args = "", more: Parameters<OperationsRig["run"]>[2] = {}) =>
  rig.run(runArchive, `--topic ${SOURCE} --dir ${join(rig.dataDir, "archive")} ${args}`, more);
/** A clock so fast that an outage is soon over. */
export const fast = { ...systemClock, now_ms: () => systemClock.now_ms() * 300 };
