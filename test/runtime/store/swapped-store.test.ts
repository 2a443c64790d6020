import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { join } from "node:path";
import { ORDER_SERVICE_PROJECTIONS } from "../../../src/services/orders/slices.ts";
import { openDatabase } from "../../../src/runtime/store/store-file.ts";
import { PartitionStore } from "../../../src/runtime/store/store.ts";
import { saveAt } from "../../support/stores/save-at.ts";
import { openedFiles } from "../../support/stores/opened-files.ts";
import { tempDir } from "../../support/stores/temp-dir.ts";

test("a store that was put back under another partition's name is not used, and left as it is", async () => {
  await using dir = await tempDir();
  const path = join(dir.path, "orders.0.sqlite");
  const identity = (partition: number) => ({ logId: "log", topic: "orders", partition });
  const opened = (partition: number) => openDatabase(path, ORDER_SERVICE_PROJECTIONS, identity(partition));
  const files = openedFiles(opened(1));
  await saveAt(new PartitionStore(files, ORDER_SERVICE_PROJECTIONS, 1, () => files.close()), 7);
  files.close();
  expect(opened(0)).toEqual({ unusable: expect.stringContaining("partition 1") });
  const again = openedFiles(opened(1));
  const store = new PartitionStore(again, ORDER_SERVICE_PROJECTIONS, 1, () => again.close());
  expect(store.nextOffset).toBe(7);
  store.close();
});

test("a store of another version is not changed by looking at it", async () => {
  await using dir = await tempDir();
  const path = join(dir.path, "orders.0.sqlite");
  const before = new Database(path);
  before.run("CREATE TABLE store (name TEXT, version INTEGER, log_id TEXT, topic TEXT)");
  before.run("INSERT INTO store VALUES ('orders', 99, 'log', 'orders')");
  before.run("CREATE TABLE position (partition INTEGER PRIMARY KEY, next_offset INTEGER)");
  const schema = () => before.query("SELECT sql FROM sqlite_schema").all();
  const was = schema();
  expect(openDatabase(path, ORDER_SERVICE_PROJECTIONS, { logId: "log", topic: "orders", partition: 0 })).toEqual({
    unusable: expect.stringContaining("its version is 99"),
  });
  expect(schema()).toEqual(was);
  before.close();
});
