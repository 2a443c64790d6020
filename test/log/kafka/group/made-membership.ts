import type { Connections } from "../../../../src/log/kafka/connection/connections.ts";
import { KafkaMembership } from "../../../../src/log/kafka/group/membership.ts";
import type { Clock } from "../../../../src/system/clock.ts";

/** A membership of a group over these connections; `lost` is told why it is not in the group. */
export function madeMembership(connections: Connections, clock: Clock, lost: string[]): KafkaMembership {
  const listener = {
    onAssigned: () => undefined,
    onLost: (reason: string) => void lost.push(reason),
    onWaiting: () => undefined,
  };
  return new KafkaMembership(
    () => connections,
    { group: "g", topic: "t", localPositions: () => new Map(), listener },
    { session_timeout_ms: 6_000, backoff_ms_min: 100, backoff_ms_max: 100 },
    clock,
    () => 0.5,
    () => Promise.resolve(1),
  );
}
