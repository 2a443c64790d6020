import type { ActorState, HeldPartitions, PartitionView, RestoreProgress, TopicWarning } from "../partitions/projection.ts";
import type { Route } from "./service.ts";

export interface PartitionHealth {
  readonly partition: number;
  readonly state: ActorState;
  /** The next offset to apply. */
  readonly offset: number;
  readonly end: number;
  readonly lag: number;
  /** Of the state at `offset`, where one is kept: instances at the same offset have the same. */
  readonly digest?: string;
  /** Why it halted. */
  readonly halted?: string;
}

export interface Readiness {
  /** ready, catching-up, halted, unreadable, standing-still, or how the membership stands: joining, waiting, left. */
  readonly status: string;
  /** Why the log cannot be read. */
  readonly reason?: string;
  /** Since when, as ISO 8601 writes it. */
  readonly since?: string;
  /** What is not applied although the log has it. */
  readonly standstill?: string;
  /** What the log refused to take within the last minute, of a service that appends. It changes nothing of the status. */
  readonly refusal?: string;
  /** While partitions are read from far behind the log's end. */
  readonly restore?: RestoreProgress;
  /** What about the topics' settings may cost records. It changes nothing of the status. */
  readonly warnings?: readonly TopicWarning[];
  readonly partitions: readonly PartitionHealth[];
}

/** Ready once the topic is known, the membership is stable, every held partition has caught up and the log can be read. Holding none is ready. */
export const readiness = (partitions: HeldPartitions<unknown>, refusal?: string): Readiness => {
  let allRunning = true;
  let oneHalted = false;
  const list: PartitionHealth[] = [];
  for (const held of partitions.held()) {
    const digest = digestOf(held);
    const { partition, state, nextOffset, endOffset, halted } = held;
    allRunning &&= state === "running";
    oneHalted ||= state === "halted";
    const lag = Math.max(0, endOffset - nextOffset);
    list.push({
      partition,
      state,
      offset: nextOffset,
      end: endOffset,
      lag,
      ...(digest === undefined ? {} : { digest }),
      ...(halted === undefined ? {} : { halted }),
    });
  }
  const { restore, standstill } = partitions;
  const { readFailure: reason, readFailingSince_ms: since_ms } = partitions;
  const warnings = partitions.topics?.warnings ?? [];
  return {
    status: status(partitions, allRunning, oneHalted),
    ...(reason === undefined ? {} : { reason }),
    ...(since_ms === undefined ? {} : { since: new Date(since_ms).toISOString() }),
    ...(standstill === undefined ? {} : { standstill }),
    ...(refusal === undefined ? {} : { refusal }),
    ...(restore === undefined ? {} : { restore }),
    ...(warnings.length === 0 ? {} : { warnings }),
    partitions: list,
  };
};

/** Undefined also where it cannot be read: health is told all the same, and a damaged store rebuilt. */
const digestOf = (held: PartitionView<unknown>): string | undefined => {
  try {
    return held.digest;
  } catch (e) {
    held.failed(e);
    return undefined;
  }
};

const status = (partitions: HeldPartitions<unknown>, allRunning: boolean, oneHalted: boolean): string => {
  if (partitions.membership !== "stable") return partitions.membership;
  if (oneHalted) return "halted";
  if (partitions.readFailure !== undefined) return "unreadable";
  if (partitions.standstill !== undefined) return "standing-still";
  return allRunning && partitions.partitionCount > 0 ? "ready" : "catching-up";
};

const RETRY_AFTER_S = "1";

/**
 * `/health/live`: the process answers, and what it does gets somewhere; 503 where only a restart may help. `/health/ready`: it can do its
 * work; 503 until then. Both also under overload.
 */
export const healthRoutes = (health: () => Readiness): Route[] => [
  {
    method: "GET",
    path: "/health/live",
    always: true,
    handle: () => {
      const { standstill } = health();
      if (standstill === undefined) return json('{"status":"live"}', 200);
      return json(JSON.stringify({ status: "standing-still", standstill }), 503);
    },
  },
  {
    method: "GET",
    path: "/health/ready",
    always: true,
    handle: () => {
      const now = health();
      return json(JSON.stringify(now), now.status === "ready" ? 200 : 503);
    },
  },
];

const json = (body: string, code: number): Response => {
  const headers: Record<string, string> = { "content-type": "application/json", "cache-control": "no-store" };
  if (code === 503) headers["retry-after"] = RETRY_AFTER_S;
  return new Response(body, { status: code, headers });
};
