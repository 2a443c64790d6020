import type { Program } from "../support/programs/processes.ts";
import { waitUntil } from "../support/wait-until.ts";

/** What an order service has counted of its snapshots since its start. */
export interface SnapshotCounts {
  readonly taken: number;
  /** As they are stored, compressed. */
  readonly mib: number;
  /** The time in which one was under way. */
  readonly seconds: number;
}

interface PartitionHealth {
  readonly offset: number;
  readonly snapshot?: { readonly offset: number };
}

const interval_ms = 100;

export async function snapshotCounts({ orderUrl }: Program): Promise<SnapshotCounts> {
  const text = await (await fetch(`${orderUrl}/metrics`)).text();
  const valueOf = (name: string): number => {
    const found = new RegExp(`^${name}(?:\\{[^}]*\\})? ([0-9.e+-]+)$`, "m").exec(text);
    if (found === null) throw new Error(`${orderUrl}/metrics has no ${name}.`);
    return Number(found[1]);
  };
  return {
    taken: valueOf("orders_snapshots_taken_total"),
    mib: valueOf("orders_snapshot_bytes_total") / 1_048_576,
    seconds: valueOf("orders_snapshot_seconds_total"),
  };
}

/** Waits until there is a snapshot of everything that the order service has applied. */
export async function untilSnapshots(program: Program, wait_ms_max: number): Promise<SnapshotCounts> {
  await waitUntil(
    () => `snapshots of everything. The program said:\n${program.output()}`,
    async () => {
      const response = await fetch(`${program.orderUrl}/health/ready`).catch(() => undefined);
      const { partitions = [] } = ((await response?.json()) ?? {}) as { partitions?: readonly PartitionHealth[] };
      return partitions.length > 0 && partitions.every(({ offset, snapshot }) => snapshot?.offset === offset);
    },
    { wait_ms_max, interval_ms },
  );
  return await snapshotCounts(program);
}
