import type { TopicDescription } from "../../log/port.ts";

/**
 * What can be wrong with a topic: its settings, or what it has already lost. The codes are stable, as metrics and
 * alerts use them.
 */
export const TOPIC_CONCERNS = [
  "compacted",
  "retention",
  "first-records-lost",
  "log-append-time",
  "timestamps-refused",
  "batch-bytes",
  "one-replica",
  "one-in-sync-replica",
  "too-many-in-sync-replicas",
  "unclean-leader-election",
  "write-caching",
  "settings-unreadable",
] as const;

export interface TopicConcern {
  readonly code: (typeof TOPIC_CONCERNS)[number];
  /** False if nothing is known to be wrong. */
  readonly isWarning: boolean;
  /** Sentences that say what is set and what follows from it. */
  readonly what: string;
  /** Sentences that say what is set, what follows from it and what to do. */
  readonly message: string;
  /** What it is about, where the sentences have figures that move on; absent where each change of them is told. */
  readonly about?: string;
}

/** What the topic is used for. */
export interface TopicUse {
  readonly topic: string;
  readonly role: "orders" | "dead-letters";
  /** How large a batch of one record the topic must take. */
  readonly record_bytes_max: number;
  /** How often snapshots of the state are taken; undefined: never. */
  readonly snapshot_wait_ms?: number | undefined;
  /** The brokers' addresses, for the commands that are suggested. */
  readonly brokers?: string | undefined;
}

/** Replays and archives hardly ever write records again that are older than this. */
const STAMP_AGE_MS_MIN = 10 * 365 * 24 * 3_600_000;
/** A cart's clock may be this far ahead of a broker's. */
const CLOCK_AHEAD_MS_MIN = 5 * 60_000;
/** With this many replicas or more, two of them can have each acknowledged record while one is down. */
const REPLICAS_FOR_TWO_IN_SYNC = 3;
const MS_PER_HOUR = 3_600_000;
/** Records must be kept for so many intervals of snapshots: some may fail, and some be damaged. */
const SNAPSHOTS_PER_RETENTION_MIN = 10;

/** Room for what a dead letter adds to a record that is as large as its own topic allows. */
const LETTER_ROOM_BYTES = 16 * 1024;
/** A letter is appended uncompressed, while its record may have been compressed. */
const LETTER_BYTES_MIN = 2 * 1024 * 1024;
/** The largest value that Kafka's type allows for the setting. */
const BATCH_BYTES_MAX = 2 ** 31 - 1;

/**
 * The largest batch that the dead-letter topic must take: the largest record of the orders' topic, and what a letter
 * adds to it. 0 if that is not known.
 */
export const letterBytesNeeded = (orders: TopicDescription | undefined): number => {
  const most = Number(orders?.settings["max.message.bytes"] || 0);
  return most === 0 ? 0 : Math.min(BATCH_BYTES_MAX, most + LETTER_ROOM_BYTES);
};

/** The largest batch that the dead-letter topic is created to take. */
export const letterBytesMax = (orders: TopicDescription | undefined): number =>
  Math.max(LETTER_BYTES_MIN, letterBytesNeeded(orders));

type Found = readonly [code: TopicConcern["code"], what: string, change: Change];
/** The settings to change, or what else to do. */
type Change = Readonly<Record<string, string>> | string;
type Check = (use: TopicUse, description: TopicDescription) => Found | undefined;

/**
 * The names of settings are Kafka's. A setting that the log does not report does not exist there (Redpanda leaves out
 * those that it does not use).
 */
export function topicConcerns(use: TopicUse, description: TopicDescription): TopicConcern[] {
  const concerns = CHECKS.flatMap((check): TopicConcern[] => {
    const found = check(use, description);
    if (found === undefined) return [];
    const [code, is, change] = found;
    const what = `The topic ${use.topic} ${is}`;
    return [{ code, isWarning: true, what, message: `${what} ${advice(use, change)}` }];
  });
  // A log without brokers has no settings.
  if (description.brokers === undefined || Object.keys(description.settings).length > 0) return concerns;
  const what = `The settings of the topic ${use.topic} cannot be read, so nobody sees whether they keep its records.`;
  return [...concerns, { code: "settings-unreadable", isWarning: false, what, message: `${what} Grant DESCRIBE_CONFIGS on it.` }];
}

const advice = ({ topic, brokers = "BROKER" }: TopicUse, change: Change): string => {
  if (typeof change === "string") return change;
  const pairs = Object.entries(change).map(([name, value]) => `${name}=${value}`);
  const kafka = `kafka-configs.sh --bootstrap-server ${brokers} --alter --entity-type topics --entity-name ${topic} --add-config ${pairs.join(",")}`;
  return `Set it: rpk topic alter-config ${topic} ${pairs.map((pair) => `--set ${pair}`).join(" ")} (or ${kafka}).`;
};

const policies = ({ settings }: TopicDescription): string[] =>
  (settings["cleanup.policy"] ?? "delete").split(",").map((policy) => policy.trim());

const compacted: Check = ({ role }, description) => {
  if (!policies(description).includes("compact")) return undefined;
  const follows =
    role === "orders"
      ? "a record goes once a later one has its key, so a state that is made anew lacks orders, and 404 is answered for them"
      : "a letter goes once a later one has its key, so records that were no events are lost";
  return [
    "compacted",
    `is compacted (cleanup.policy=${description.settings["cleanup.policy"]}): ${follows}.`,
    { "cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1" },
  ];
};

const retention: Check = ({ role, snapshot_wait_ms }, description) => {
  if (!policies(description).includes("delete")) return undefined;
  const bounds = ["retention.ms", "retention.bytes"].filter((name) => Number(description.settings[name] || -1) >= 0);
  if (bounds.length === 0) return undefined;
  const needed_ms = role === "orders" ? SNAPSHOTS_PER_RETENTION_MIN * (snapshot_wait_ms ?? Infinity) : Infinity;
  if (bounds.length === 1 && Number(description.settings["retention.ms"] || -1) >= needed_ms) return undefined;
  const follows =
    role === "orders"
      ? `older records are deleted, and a state that is made anew lacks their orders${needed_ms === Infinity ? "" : `, unless a snapshot has them: a retention that is safe with SNAPSHOT_WAIT_MS=${snapshot_wait_ms} is by time alone, and ${needed_ms} ms or longer`}`
      : "older letters are deleted, and what they hold can be redriven no more";
  const set = bounds.map((name) => `${name}=${description.settings[name]}`).join(", ");
  return [
    "retention",
    `keeps its records for a while only (${set}): ${follows}.`,
    Object.fromEntries(bounds.map((name) => [name, "-1"])),
  ];
};

const logAppendTime: Check = ({ role }, { settings }) =>
  settings["message.timestamp.type"] === "LogAppendTime" && role === "orders"
    ? [
        "log-append-time",
        "gives each record the broker's time (message.timestamp.type=LogAppendTime): when an event was made is lost, and a replay or an archive of a window of time takes others.",
        { "message.timestamp.type": "CreateTime" },
      ]
    : undefined;

const timestampsRefused: Check = (_, { settings }) => {
  const bounds = [
    ["message.timestamp.before.max.ms", STAMP_AGE_MS_MIN],
    ["message.timestamp.after.max.ms", CLOCK_AHEAD_MS_MIN],
    // Before Kafka 3.6, one setting was for both.
    ["message.timestamp.difference.max.ms", STAMP_AGE_MS_MIN],
  ] as const;
  const tight = bounds.filter(([name, least_ms]) => Number(settings[name] || Infinity) < least_ms);
  if (tight.length === 0) return undefined;
  const set = tight.map(([name]) => `${name}=${settings[name]}`).join(", ");
  const wide = (name: string) => (name.includes(".after.") ? String(MS_PER_HOUR) : "9223372036854775807");
  return [
    "timestamps-refused",
    `refuses records whose timestamp is far from the broker's time (${set}): those of a replay, of an archive, or of a cart whose clock is off are not taken.`,
    Object.fromEntries(tight.map(([name]) => [name, wide(name)])),
  ];
};

const batchBytes: Check = ({ role, record_bytes_max }, { settings }) => {
  const most = Number(settings["max.message.bytes"] || Infinity);
  if (most >= record_bytes_max) return undefined;
  const follows =
    role === "orders"
      ? `an order may need ${record_bytes_max}, and larger ones are refused with 413`
      : `a dead letter may need ${record_bytes_max}, and larger ones are cut`;
  return [
    "batch-bytes",
    `takes at most ${most} bytes at once (max.message.bytes): ${follows}.`,
    { "max.message.bytes": String(record_bytes_max) },
  ];
};

const oneReplica: Check = ({ topic }, { replicas, brokers = 0 }) =>
  replicas === 1 && brokers > 1
    ? [
        "one-replica",
        `has 1 replica of each partition on ${brokers} brokers: an acknowledged record is lost with one disk, and nothing is read or written while its broker is down.`,
        `Add replicas: rpk topic alter-config ${topic} --set replication.factor=3 (on Kafka: kafka-reassign-partitions.sh).`,
      ]
    : undefined;

const inSync = ({ settings }: TopicDescription): number => Number(settings["min.insync.replicas"] || NaN);

const oneInSyncReplica: Check = (_, description) =>
  (description.replicas ?? 0) >= REPLICAS_FOR_TWO_IN_SYNC && inSync(description) === 1
    ? [
        "one-in-sync-replica",
        `acknowledges a record that one of its ${description.replicas} replicas has (min.insync.replicas=1): it may be lost with that one.`,
        { "min.insync.replicas": "2" },
      ]
    : undefined;

const tooManyInSyncReplicas: Check = (_, description) => {
  const { replicas = Infinity } = description;
  if (!(inSync(description) > replicas)) return undefined;
  return [
    "too-many-in-sync-replicas",
    `wants ${inSync(description)} replicas for each record (min.insync.replicas) and has ${replicas}: brokers that hold to it take nothing.`,
    { "min.insync.replicas": String(Math.max(1, replicas - 1)) },
  ];
};

const uncleanLeaderElection: Check = (_, { settings }) =>
  settings["unclean.leader.election.enable"] === "true"
    ? [
        "unclean-leader-election",
        "may be led by a replica that lacks acknowledged records (unclean.leader.election.enable=true): they are then lost.",
        { "unclean.leader.election.enable": "false" },
      ]
    : undefined;

const writeCaching: Check = (_, { settings }) =>
  settings["write.caching"] === "true"
    ? [
        "write-caching",
        "acknowledges records that no disk has yet (write.caching=true): they are lost where most brokers fail at once.",
        { "write.caching": "false" },
      ]
    : undefined;

const CHECKS: readonly Check[] = [
  compacted,
  retention,
  logAppendTime,
  timestampsRefused,
  batchBytes,
  oneReplica,
  oneInSyncReplica,
  tooManyInSyncReplicas,
  uncleanLeaderElection,
  writeCaching,
];
