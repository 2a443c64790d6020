import { expect, test } from "bun:test";
import { join } from "node:path";
import { orderProjection } from "../../src/order-service/order-projection.ts";
import { openDatabase, PartitionStore } from "../../src/partitions/store.ts";
import { tempDir } from "../support/temp-dir.ts";

test("a store that was put back under another partition's name is set aside", async () => {
  await using dir = await tempDir();
  const path = join(dir.path, "orders.0.sqlite");
  const identity = (partition: number) => ({ logId: "log", topic: "orders", partition });
  const opened = (partition: number) => openDatabase(path, orderProjection, identity(partition), 0);
  const { db } = opened(1);
  new PartitionStore(db, orderProjection, 1, () => db.close()).commit(7, undefined);
  db.close();
  const again = opened(1);
  expect(again.setAside).toBeUndefined();
  again.db.close();
  const asAnother = opened(0);
  expect(asAnother.setAside?.reason).toContain("partition 1");
  asAnother.db.close();
});
