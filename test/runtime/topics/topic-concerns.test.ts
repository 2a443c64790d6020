import { describe, expect, test } from "bun:test";
import type { TopicDescription } from "../../../src/log/port.ts";
import {
  letterBytesMax,
  letterBytesNeeded,
  type TopicConcern,
  topicConcerns,
  type TopicUse,
} from "../../../src/runtime/topics/topic-concerns.ts";

const MIB = 1024 * 1024;

/** The settings of the topic as this system creates it on three brokers. */
const wellSetUp = {
  "cleanup.policy": "delete",
  "retention.ms": "-1",
  "retention.bytes": "-1",
  "max.message.bytes": String(3 * MIB),
  "message.timestamp.type": "CreateTime",
  "message.timestamp.before.max.ms": "9223372036854775807",
  "message.timestamp.after.max.ms": "3600000",
  "min.insync.replicas": "2",
  "unclean.leader.election.enable": "false",
};

interface Set {
  readonly role?: TopicUse["role"];
  readonly settings?: Readonly<Record<string, string>>;
  readonly replicas?: number | undefined;
  readonly brokers?: number | undefined;
  readonly snapshot_wait_ms?: number;
}

const concerns = ({ role = "orders", settings = {}, snapshot_wait_ms, ...rest }: Set) => {
  const description: TopicDescription = {
    topicId: undefined,
    partitions: 12,
    replicas: 3,
    brokers: 3,
    settings: { ...wellSetUp, ...settings },
    ...rest,
  };
  return topicConcerns({ topic: "t", role, record_bytes_max: 2 * MIB, snapshot_wait_ms }, description);
};
const codes = (set: Set) => concerns(set).map(({ code }) => code);

test("a topic as this system creates it gives no concern, on three brokers, one, or on no broker at all", () => {
  expect(codes({})).toEqual([]);
  expect(codes({ role: "dead-letters" })).toEqual([]);
  expect(codes({ settings: { "min.insync.replicas": "1" }, replicas: 1, brokers: 1 })).toEqual([]);
  const embedded: TopicDescription = { topicId: "1", partitions: 12, replicas: undefined, brokers: undefined, settings: {} };
  expect(topicConcerns({ topic: "t", role: "orders", record_bytes_max: 1 }, embedded)).toEqual([]);
});

describe("what may cost records is named", () => {
  const cases: readonly [string, Set, readonly TopicConcern["code"][]][] = [
    ["compaction", { settings: { "cleanup.policy": "compact" } }, ["compacted"]],
    ["compaction of letters", { role: "dead-letters", settings: { "cleanup.policy": "compact" } }, ["compacted"]],
    [
      "compaction and deletion",
      { settings: { "cleanup.policy": "delete, compact", "retention.ms": "604800000" } },
      ["compacted", "retention"],
    ],
    ["retention by time", { settings: { "retention.ms": "604800000" } }, ["retention"]],
    ["retention by size", { settings: { "retention.bytes": "0" } }, ["retention"]],
    ["retention of letters", { role: "dead-letters", settings: { "retention.ms": "1" } }, ["retention"]],
    ["the broker's time", { settings: { "message.timestamp.type": "LogAppendTime" } }, ["log-append-time"]],
    ["old stamps refused", { settings: { "message.timestamp.before.max.ms": "86400000" } }, ["timestamps-refused"]],
    ["early stamps refused", { settings: { "message.timestamp.after.max.ms": "1000" } }, ["timestamps-refused"]],
    ["the same, on older brokers", { settings: { "message.timestamp.difference.max.ms": "60000" } }, ["timestamps-refused"]],
    ["small batches", { settings: { "max.message.bytes": String(2 * MIB - 1) } }, ["batch-bytes"]],
    ["one replica on two brokers", { replicas: 1, brokers: 2, settings: { "min.insync.replicas": "1" } }, ["one-replica"]],
    ["one in-sync replica of three", { settings: { "min.insync.replicas": "1" } }, ["one-in-sync-replica"]],
    ["more in-sync replicas than there are", { replicas: 1, brokers: 1 }, ["too-many-in-sync-replicas"]],
    ["unclean elections", { settings: { "unclean.leader.election.enable": "true" } }, ["unclean-leader-election"]],
    ["write caching", { settings: { "write.caching": "true" } }, ["write-caching"]],
  ];
  for (const [name, set, expected] of cases) {
    test(name, () => {
      const found = concerns(set);
      expect(found.map(({ code }) => code)).toEqual([...expected]);
      for (const { message, isWarning } of found) {
        expect(isWarning).toBe(true);
        expect(message).toStartWith("The topic t ");
        expect(message).toMatch(/rpk topic alter-config t .*kafka-/);
      }
    });
  }
});

test("what is harmless gives none: retention where nothing is deleted, letters with the broker's time, settings that the log does not use", () => {
  expect(codes({ settings: { "cleanup.policy": "none", "retention.ms": "1" } })).toEqual([]);
  expect(codes({ role: "dead-letters", settings: { "message.timestamp.type": "LogAppendTime" } })).toEqual([]);
  const redpanda = { "cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "", "write.caching": "false" };
  const description = { topicId: undefined, partitions: 1, replicas: 3, brokers: 3, settings: redpanda };
  expect(topicConcerns({ topic: "t", role: "orders", record_bytes_max: MIB }, description)).toEqual([]);
});

test("a retention by time is harmless where ten intervals of snapshots fit into it, for the orders alone", () => {
  const settings = { "retention.ms": "604800000" };
  expect(codes({ settings, snapshot_wait_ms: 60_480_000 })).toEqual([]);
  expect(codes({ settings, snapshot_wait_ms: 60_480_001 })).toEqual(["retention"]);
  expect(codes({ settings: { ...settings, "retention.bytes": "1000000" }, snapshot_wait_ms: 1_000 })).toEqual(["retention"]);
  expect(codes({ role: "dead-letters", settings, snapshot_wait_ms: 1_000 })).toEqual(["retention"]);
  const [{ message } = { message: "" }] = concerns({ settings: { "retention.ms": "5000" }, snapshot_wait_ms: 900_000 });
  expect(message).toContain("unless a snapshot has them");
  expect(message).toContain("by time alone, and 9000000 ms or longer");
});

test("the advice is a command that sets just what is wrong", () => {
  const [{ message } = { message: "" }] = concerns({ settings: { "retention.ms": "604800000" } });
  expect(message).toContain("retention.ms=604800000");
  expect(message).toContain("rpk topic alter-config t --set retention.ms=-1 (or");
  expect(message).toContain("--entity-name t --add-config retention.ms=-1)");
});

test("where the settings cannot be read, the right that is missing is told, and what is known without it", () => {
  const description = { topicId: undefined, partitions: 1, replicas: 1, brokers: 3, settings: {} };
  const found = topicConcerns({ topic: "t", role: "orders", record_bytes_max: 1 }, description);
  expect(found.map(({ code, isWarning }) => [code, isWarning])).toEqual([
    ["one-replica", true],
    ["settings-unreadable", false],
  ]);
  expect(found[1]?.message).toContain("DESCRIBE_CONFIGS");
});

test("a dead letter has room for the largest record of its topic, and what it adds to it", () => {
  const of = (settings: Readonly<Record<string, string>>) =>
    letterBytesMax({ topicId: undefined, partitions: 1, replicas: 1, brokers: 1, settings });
  expect(of({ "max.message.bytes": String(5 * MIB) })).toBe(5 * MIB + 16 * 1024);
  expect(of({ "max.message.bytes": "1048588" })).toBe(2 * MIB);
  expect(of({})).toBe(2 * MIB);
  expect(of({ "max.message.bytes": "2147483647" })).toBe(2147483647);
  expect(letterBytesNeeded(undefined)).toBe(0);
});

test("the command that sets it right is for the brokers that the service knows", () => {
  const use = { topic: "orders.events", role: "orders", record_bytes_max: 1 } as const;
  const description = {
    topicId: undefined,
    partitions: 1,
    replicas: 3,
    brokers: 3,
    settings: { ...wellSetUp, "retention.ms": "1" },
  };
  const told = (brokers?: string) => topicConcerns({ ...use, brokers }, description).map(({ message }) => message);
  expect(told("10.0.0.5:9092,10.0.0.6:9092")).toEqual([
    expect.stringContaining("--bootstrap-server 10.0.0.5:9092,10.0.0.6:9092 --alter"),
  ]);
  expect(told()).toEqual([expect.stringContaining("--bootstrap-server BROKER --alter")]);
});
