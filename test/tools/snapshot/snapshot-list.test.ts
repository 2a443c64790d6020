import { expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { zstd } from "../../../src/runtime/snapshots/compression.ts";
import { Snapshots } from "../../../src/runtime/snapshots/snapshots.ts";
import { FileStorage } from "../../../src/storage/file-storage.ts";
import { systemClock } from "../../../src/system/clock.ts";
import { runSnapshot } from "../../../src/tools/snapshot/snapshot-command.ts";
import { orderCreated } from "../../support/events/orders.ts";
import { tempDir } from "../../support/stores/temp-dir.ts";
import { LOG, openIndex, openOrders, saveEvents, TOPIC } from "../state/rig.ts";

test("the list says what each snapshot holds, and sorts partitions as numbers, the furthest snapshot of each first", async () => {
  await using dir = await tempDir();
  let text = "";
  const snapshot = async (...args: string[]) => {
    text = "";
    const storage = new FileStorage(join(dir.path, "kept"), () => crypto.randomUUID());
    return runSnapshot(args, {
      config: { data_dir: dir.path, orders_topic: TOPIC },
      snapshots: new Snapshots({ storage, compression: zstd, clock: systemClock, random: Math.random, kept: 3 }),
      temporary: dir.path,
      clock: systemClock,
      write: async (more) => void (text += more),
      tell: () => undefined,
    });
  };
  const pathOf = (claim: string, partition: number) => {
    const path = join(dir.path, "state", LOG, claim, `${TOPIC}.${partition}.sqlite`);
    mkdirSync(dirname(path), { recursive: true });
    return path;
  };
  for (const round of [1, 2]) {
    for (const partition of [2, 10]) {
      const orders = openOrders(pathOf("order-service-0", partition), { partition });
      const index = openIndex(pathOf("cart-0", partition), partition);
      for (const store of round === 1 || partition === 10 ? [orders, index] : []) {
        const orderId = `ORD-${partition}${round}`;
        await saveEvents(store, orderCreated({ orderId, eventId: orderId }));
      }
      orders.close();
      index.close();
    }
    expect(await snapshot("--take")).toBe(0);
  }
  expect(await snapshot("--list")).toBe(0);
  const rows = text
    .trimEnd()
    .split("\n")
    .map((line) => line.trim().split(/ {2,}/));
  expect(rows[0]).toEqual(["topic", "holds", "partition", "offset", "age", "bytes", "name"]);
  const ofEach = (holds: string) => [
    [holds, "2", "1"],
    [holds, "2", "1"],
    [holds, "10", "2"],
    [holds, "10", "1"],
  ];
  expect(rows.slice(1).map((row) => row.slice(1, 4))).toEqual([...ofEach("index"), ...ofEach("orders")]);
});
