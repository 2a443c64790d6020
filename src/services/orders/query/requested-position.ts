import type { LogPosition } from "../../../log/log-position.ts";
import type { Clock } from "../../../system/clock.ts";
import type { Asker, InFlight } from "../../../http/in-flight.ts";
import { waitForPosition } from "./queries.ts";
import type { HeldPartitions } from "../../../runtime/held-partitions.ts";

export interface PositionWaits {
  readonly partitions: HeldPartitions;
  readonly read_wait_ms_max: number;
  readonly inFlight: InFlight;
  readonly clock: Clock;
}

/**
 * Waits until the request's Log-Position is applied, if it has one. Rejects as `waitForPosition` does, or with
 * OVERLOADED.
 */
export async function waitForRequested(
  position: LogPosition | undefined,
  asker: Asker,
  { partitions, read_wait_ms_max, inFlight, clock }: PositionWaits,
): Promise<void> {
  if (position === undefined) return;
  const held = partitions.get(position.partition);
  if (held && held.nextOffset > position.offset) return;
  await inFlight.waiting.run(asker.client, () => waitForPosition(partitions, position, read_wait_ms_max, clock, asker.leaving));
}
