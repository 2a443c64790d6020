import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { openDatabase } from "../../../src/runtime/store/store-file.ts";
import { orderProjection } from "../../../src/services/orders/state/order-projection.ts";
import { openedFiles } from "../../support/stores/opened-files.ts";
import { tempDir } from "../../support/stores/temp-dir.ts";

const IDENTITY = { logId: "log", topic: "orders", partition: 0 };

test("a commit does not wait for the disk; what is committed is synced when that is asked for", async () => {
  await using dir = await tempDir();
  const path = join(dir.path, "x.sqlite");
  const files = openedFiles(openDatabase(path, [orderProjection], IDENTITY));
  expect(files.db.query("PRAGMA synchronous").get()).toEqual({ synchronous: 1 });
  expect(existsSync(`${path}-wal`)).toBe(true);
  await files.syncDatabase();
  files.db.run("UPDATE totals SET digest = 7");
  await files.syncDatabase();
  files.close();
  // SQLite has moved its log into the database, and deleted it.
  expect(existsSync(`${path}-wal`)).toBe(false);
  await expect(files.syncDatabase()).rejects.toThrow("EBADF");

  const again = openedFiles(openDatabase(path, [orderProjection], IDENTITY));
  await again.syncDatabase();
  expect(again.db.query("SELECT digest FROM totals").get()).toEqual({ digest: 7 });
  again.close();
});
