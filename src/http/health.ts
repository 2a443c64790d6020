import type { ActorState, HeldPartitions } from "../partitions/projection.ts";
import type { Route } from "./service.ts";

export interface PartitionHealth {
  readonly partition: number;
  readonly state: ActorState;
  /** The next offset to apply. */
  readonly offset: number;
  readonly end: number;
  readonly lag: number;
  /** Why it halted. */
  readonly halted?: string;
}

export interface Readiness {
  /** ready, catching-up, halted, unreadable, or how the membership stands: joining, waiting, left. */
  readonly status: string;
  /** Why the log cannot be read. */
  readonly reason?: string;
  readonly partitions: readonly PartitionHealth[];
}

/** Ready once the topic is known, the membership is stable, every held partition has caught up and the log can be read. Holding none is ready. */
export const readiness = (partitions: HeldPartitions<unknown>): Readiness => {
  let allRunning = true;
  let oneHalted = false;
  const list: PartitionHealth[] = [];
  for (const { partition, state, nextOffset, endOffset, halted } of partitions.held()) {
    allRunning &&= state === "running";
    oneHalted ||= state === "halted";
    const lag = Math.max(0, endOffset - nextOffset);
    list.push({ partition, state, offset: nextOffset, end: endOffset, lag, ...(halted === undefined ? {} : { halted }) });
  }
  const reason = partitions.readFailure;
  return {
    status: status(partitions, allRunning, oneHalted),
    ...(reason === undefined ? {} : { reason }),
    partitions: list,
  };
};

const status = (partitions: HeldPartitions<unknown>, allRunning: boolean, oneHalted: boolean): string => {
  if (partitions.membership !== "stable") return partitions.membership;
  if (oneHalted) return "halted";
  if (partitions.readFailure !== undefined) return "unreadable";
  return allRunning && partitions.partitionCount > 0 ? "ready" : "catching-up";
};

const RETRY_AFTER_S = "1";

/** `/health/live`: the process answers. `/health/ready`: it can do its work; 503 until then. Both also under overload. */
export const healthRoutes = (health: () => Readiness): Route[] => [
  { method: "GET", path: "/health/live", always: true, handle: () => json('{"status":"live"}', 200) },
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
