import { expect, test } from "bun:test";
import { Metrics } from "../../src/telemetry/metrics.ts";

const lines = async (metrics: Metrics): Promise<string[]> =>
  (await metrics.text()).split("\n").filter((line) => line.startsWith("orders_snapshot"));

test("snapshots are counted from 0 on: those taken, their bytes and time, failures and damaged ones", async () => {
  const metrics = new Metrics("cart", () => 0);
  const meter = metrics.snapshots();
  expect((await lines(metrics)).every((line) => line.endsWith(" 0"))).toBe(true);
  meter.snapshotTaken(1_000, 2.5);
  meter.snapshotTaken(500, 0.5);
  meter.snapshotFailed();
  meter.snapshotDamaged();
  expect(await lines(metrics)).toEqual([
    'orders_snapshots_taken_total{component="cart"} 2',
    'orders_snapshot_failures_total{component="cart"} 1',
    'orders_snapshots_damaged_total{component="cart"} 1',
    'orders_snapshot_bytes_total{component="cart"} 1500',
    'orders_snapshot_seconds_total{component="cart"} 3',
  ]);
});

test("a partition shows how old its newest snapshot is, and how far behind, if one is known", async () => {
  const metrics = new Metrics("order-service", () => 0);
  const held = { state: "running", endOffset: 9, hindered: undefined } as const;
  const partitions = {
    partitionCount: 2,
    held: () => [
      { ...held, partition: 0, nextOffset: 9, snapshot: { offset: 7, age_ms: 90_500 } },
      { ...held, partition: 1, nextOffset: 9 },
    ],
    readFailure: undefined,
    standstill: undefined,
    restore: undefined,
  };
  metrics.watch(() => partitions);
  expect(await lines(metrics)).toEqual([
    'orders_snapshot_age_seconds{partition="0",component="order-service"} 90.5',
    'orders_snapshot_behind_records{partition="0",component="order-service"} 2',
  ]);
});
