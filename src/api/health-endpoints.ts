import { Type } from "@sinclair/typebox";
import { type Endpoint, endpoint } from "../http/endpoint/endpoint.ts";
import { jsonAnswer } from "../http/endpoint/json-answer.ts";
import type { Readiness } from "../http/health.ts";
import { type ActorState, FLEET_CONCERNS, SNAPSHOTS_FAIL, STORES_GONE } from "../runtime/held-partitions.ts";
import { memberHealth, type MemberSet } from "./member-set.ts";
import { TOPIC_CONCERNS } from "../runtime/topics/topic-concerns.ts";

/** Every state; the compiler checks that none is missing. */
const STATES = {
  created: true,
  "catching-up": true,
  running: true,
  suspended: true,
  blocked: true,
  draining: true,
  stopped: true,
  halted: true,
} satisfies Record<ActorState, true>;

const snapshot = Type.Object(
  {
    offset: Type.Integer({ minimum: 0, description: "Everything before it is in the snapshot." }),
    taken: Type.String({ format: "date-time" }),
    age_s: Type.Integer({ minimum: 0 }),
  },
  { title: "Snapshot", description: "The newest one of its store, where snapshots are taken and one is known." },
);

export const partitionProperties = {
  member: Type.Optional(Type.Integer({ minimum: 0, description: "Which member holds it, where several share the port." })),
  partition: Type.Integer({ minimum: 0 }),
  state: Type.Unsafe<ActorState>({ type: "string", enum: Object.keys(STATES) }),
  offset: Type.Integer({ minimum: 0, description: "The next to apply." }),
  end: Type.Integer({ minimum: 0, description: "The log's end, as last heard of." }),
  lag: Type.Integer({ minimum: 0, description: "Records between the two." }),
  digest: Type.Optional(Type.String({ description: "Of the rows at this offset: instances at the same offset have the same." })),
  halted: Type.Optional(Type.String({ description: "Why it halted, and what to do." })),
  reason: Type.Optional(
    Type.String({ description: "Why it does not go on: halted, suspended, blocked, or the log does not give it." }),
  ),
  since: Type.Optional(Type.String({ format: "date-time", description: "Since when." })),
  startedAt: Type.Optional(
    Type.Integer({
      description: "The first offset of the state, where LOG_START=accept took a log that had lost what was before.",
    }),
  ),
  snapshot: Type.Optional(snapshot),
};

const partition = Type.Object(partitionProperties, { title: "Partition" });

const restore = Type.Object(
  {
    partitions: Type.Integer(),
    records: Type.Integer({ description: "Applied since it began." }),
    records_total: Type.Integer(),
    records_per_s: Type.Integer(),
    left_s: Type.Integer(),
  },
  { title: "Restore", description: "While partitions are read from far behind the log's end." },
);

const topicWarning = Type.Object(
  {
    topic: Type.String(),
    code: Type.Unsafe<string>({
      type: "string",
      enum: [...TOPIC_CONCERNS.filter((code) => code !== "settings-unreadable"), SNAPSHOTS_FAIL, STORES_GONE, ...FLEET_CONCERNS],
      description: "Stable.",
    }),
    detail: Type.String({ description: "What is set or fails, what follows, what to do." }),
    since: Type.Optional(Type.String({ format: "date-time", description: "Since when, if it is known." })),
  },
  { title: "TopicWarning" },
);

export const readinessProperties = {
  status: Type.Unsafe<string>({
    type: "string",
    enum: [
      "ready",
      "catching-up",
      "halted",
      "blocked",
      "suspended",
      "unreadable",
      "standing-still",
      "joining",
      "settling",
      "waiting",
      "left",
      "silent",
    ],
    description: "Anything but ready is a 503 of /health/ready. silent: a member does not answer.",
  }),
  log: Type.String({ description: "Which log it is: the brokers, or the embedded log's file." }),
  reason: Type.Optional(Type.String({ description: "Why the log cannot be used." })),
  since: Type.Optional(Type.String({ format: "date-time", description: "Since when that is so." })),
  standstill: Type.Optional(Type.String({ description: "What is not applied although the log has it." })),
  refusal: Type.Optional(
    Type.String({ description: "Why the log did not take an event within the last minute (cart service)." }),
  ),
  restore: Type.Optional(restore),
  deadLetters: Type.Optional(Type.String({ description: "Why dead letters could not be appended, should there be any." })),
  warnings: Type.Optional(
    Type.Array(topicWarning, {
      description:
        "What about the topics' settings may cost records, that snapshots fail, that files of open stores are gone, and what is wrong between order services. It changes nothing of the status.",
    }),
  ),
  partitions: Type.Array(partition, { description: "Those held here." }),
  standbys: Type.Optional(
    Type.Array(partition, {
      description: "Those followed here without being held, to take them over. They change nothing of the status.",
    }),
  ),
  members: Type.Optional(Type.Array(memberHealth, { description: "On a port that several members share: each of them." })),
};

const readiness = Type.Object(readinessProperties, { title: "Readiness" });

export const partitionExample = { partition: 3, state: "running", offset: 1712, end: 1712, lag: 0, digest: "09b1c2d3e4f50617" };
const log = "Kafka at redpanda-0:9092";
const ready = { status: "ready", log, partitions: [partitionExample] };
const catchingUp = {
  status: "catching-up",
  log,
  partitions: [{ ...partitionExample, state: "catching-up", end: 9000, lag: 7288 }],
};

/** Seconds until it is worth asking again. */
const RETRY_AFTER_S = "1";

const answer = (body: object, status: 200 | 503): Response =>
  jsonAnswer(JSON.stringify(body), status, status === 503 ? { "retry-after": RETRY_AFTER_S } : undefined);

/**
 * Tells whether the process answers and makes progress; 503 if only a restart may help. Answered even under overload.
 * A port that members share answers for all of them: whoever restarts what is not live restarts all.
 */
export const liveEndpoint = (health: () => Readiness, members?: MemberSet): Endpoint =>
  endpoint({
    method: "GET",
    path: "/health/live",
    documentation: {
      id: "live",
      tag: "Health",
      summary: "Whether the process answers and gets somewhere",
      description: "503 where only a restart may help: nothing was applied for 30 s although the log has records.",
      answers: {
        200: {
          description: "It lives.",
          schema: Type.Object({ status: Type.Literal("live") }, { title: "Live" }),
          example: { status: "live" },
          headers: ["Cache-Control"],
        },
        503: {
          description: "It stands still.",
          schema: Type.Object({ status: Type.Literal("standing-still"), standstill: Type.String() }, { title: "StandingStill" }),
          example: {
            status: "standing-still",
            standstill:
              "For 30 s or longer nothing was applied: partition 3 at offset 1500 of 1712. The connections are made anew.",
          },
          headers: ["Cache-Control", "Retry-After"],
        },
      },
    },
    always: true,
    handle: async ({ isShared }) => {
      const standstill = isShared && members ? await members.standstill() : health().standstill;
      return standstill === undefined ? answer({ status: "live" }, 200) : answer({ status: "standing-still", standstill }, 503);
    },
  });

/** Tells whether the service can do its work; 503 until then. Answered even under overload. */
export const readyEndpoint = (log_name: string, health: () => Readiness, members?: MemberSet): Endpoint =>
  endpoint({
    method: "GET",
    path: "/health/ready",
    documentation: {
      id: "ready",
      tag: "Health",
      summary: "Whether the service can do its work, and how far each partition is",
      answers: {
        200: { description: "It can.", schema: readiness, example: ready, headers: ["Cache-Control"] },
        503: { description: "Not yet.", schema: readiness, example: catchingUp, headers: ["Cache-Control", "Retry-After"] },
      },
    },
    always: true,
    handle: async ({ isShared }) => {
      const { status, ...rest } = isShared && members ? await members.readiness() : health();
      return answer({ status, log: log_name, ...rest }, status === "ready" ? 200 : 503);
    },
  });
