import { expect, test } from "bun:test";
import { chmodSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { orderCreated } from "../../support/events/orders.ts";
import { tempDir } from "../../support/stores/temp-dir.ts";
import { idleService, writingService } from "./processes.ts";
import { linesOf, openOrders, ordersStore, state, TOPIC } from "./rig.ts";

const ORDERS = 3_000;
const READS = 12;

/** The directory's files: when each was written last, and what is in it. */
const filesIn = (directory: string): readonly unknown[] =>
  readdirSync(directory)
    .toSorted()
    .map((name) => {
      const path = join(directory, name);
      return [name, statSync(path).mtimeMs, Bun.hash(readFileSync(path))];
    });

test("while a service writes and merges, each row is as of the save that it names, and comes once", async () => {
  await using dir = await tempDir();
  const path = join(dir.path, `${TOPIC}.0.sqlite`);
  await using _ = await writingService(path, ORDERS);
  const offsets = new Set<number>();
  for (let n = 0; n < READS; n++) {
    const shown = await state(path, "--orders");
    expect(shown).toEqual({ code: 0, text: shown.text, told: [] });
    const rows = linesOf(shown) as { orderId: string; offset: number; eventIds: string[] }[];
    const ids = rows.map(({ orderId }) => orderId);
    expect(ids).toEqual(Array.from({ length: ORDERS }, (__, i) => `ORD-${i}`).toSorted());
    // Each save gives each order one event more.
    for (const { orderId, offset, eventIds } of rows) {
      const rounds = offset / ORDERS;
      expect(eventIds).toHaveLength(rounds);
      expect(new Set(eventIds)).toEqual(new Set(Array.from({ length: rounds }, (__, i) => `${orderId}-${i + 1}`)));
      offsets.add(offset);
    }
    const [row] = linesOf(await state(path, "--order", "7")) as [{ offset: number; eventIds: string[] }];
    expect(row.eventIds).toHaveLength(row.offset / ORDERS);
    const counted = linesOf(await state(path, "--count-by", "status", "--json"));
    expect(counted.reduce((sum, { orders }) => sum + (orders as number), 0)).toBe(ORDERS);
    const [overview] = linesOf(await state(path, "--json")) as [{ orders: number }];
    expect(overview.orders).toBe(ORDERS);
  }
  expect(offsets.size).toBeGreaterThan(1);
}, 60_000);

test("a store that a killed service has left is shown as it was saved last", async () => {
  await using dir = await tempDir();
  const path = join(dir.path, `${TOPIC}.0.sqlite`);
  const service = await writingService(path, 50);
  await service[Symbol.asyncDispose]();
  expect(readdirSync(dir.path)).toContain(`${TOPIC}.0.sqlite-wal`);
  const before = filesIn(dir.path);
  const rows = linesOf(await state(path, "--orders")) as { offset: number; eventIds: string[] }[];
  expect(rows).toHaveLength(50);
  expect(filesIn(dir.path)).toEqual(before);
  const store = openOrders(path);
  expect(store.nextOffset).toBe(rows[0]!.offset);
  store.close();
});

test("nothing is written or made: neither beside a closed store nor beside one that is open", async () => {
  await using dir = await tempDir();
  const path = join(dir.path, `${TOPIC}.0.sqlite`);
  await ordersStore(path, [orderCreated()]);
  chmodSync(dir.path, 0o500);
  const closed = filesIn(dir.path);
  expect(closed).toHaveLength(4);
  for (const args of [[], ["--orders"], ["--order", "1"]]) expect(await state(path, ...args)).toMatchObject({ code: 0 });
  expect(filesIn(dir.path)).toEqual(closed);
  chmodSync(dir.path, 0o700);
  await using _ = await idleService(path);
  const open = filesIn(dir.path);
  expect(open).toHaveLength(6);
  for (const args of [[], ["--orders"], ["--order", "1"]]) expect(await state(path, ...args)).toMatchObject({ code: 0 });
  expect(filesIn(dir.path)).toEqual(open);
});
