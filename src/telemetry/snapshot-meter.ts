import type { SnapshotMeter } from "./meters.ts";

/** Counts snapshots. `count` registers a counter with its name, what it says, and where its value is. */
export function snapshotMeter(count: (name: string, help: string, value: () => number) => void): SnapshotMeter {
  const counts = { taken: 0, failed: 0, damaged: 0, bytes: 0, took_s: 0 };
  count("orders_snapshots_taken_total", "Snapshots that were taken and read back.", () => counts.taken);
  count("orders_snapshot_failures_total", "Snapshots that failed, or older ones not deleted.", () => counts.failed);
  count(
    "orders_snapshots_damaged_total",
    "Times that a snapshot was read back, or was to be restored, and was damaged, incomplete, or of a form not known here.",
    () => counts.damaged,
  );
  count("orders_snapshot_bytes_total", "Bytes of the snapshots taken, compressed.", () => counts.bytes);
  count("orders_snapshot_seconds_total", "Time that taking snapshots took.", () => counts.took_s);
  return {
    snapshotTaken: (bytes, took_s) => {
      counts.taken++;
      counts.bytes += bytes;
      counts.took_s += took_s;
    },
    snapshotFailed: () => void counts.failed++,
    snapshotDamaged: () => void counts.damaged++,
  };
}

interface Held {
  readonly nextOffset: number;
  readonly snapshot?: { readonly offset: number; readonly age_ms: number } | undefined;
}

/** Shows the newest snapshot of each partition's store, or that there is none, if any are taken. `ofEach` registers a gauge with a value for each. */
export function watchSnapshots(ofEach: (name: string, help: string, value: (held: Held) => number | undefined) => void): void {
  ofEach(
    "orders_snapshot_age_seconds",
    "How old the newest snapshot of the partition's store is; without one, for how long it has been held.",
    ({ snapshot }) => (snapshot === undefined ? undefined : snapshot.age_ms / 1_000),
  );
  ofEach(
    "orders_snapshot_behind_records",
    "Records applied that are not in that snapshot; without one, all of them.",
    ({ snapshot, nextOffset }) => (snapshot === undefined ? undefined : nextOffset - snapshot.offset),
  );
}
