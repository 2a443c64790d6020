import { expect, test } from "bun:test";
import { join } from "node:path";
import { openByteFile } from "../../../src/runtime/store/byte-file.ts";
import { isStoreFailure } from "../../../src/runtime/store/store-failures.ts";
import { smallDisk } from "../../support/stores/small-disk.ts";
import { tempDir } from "../../support/stores/temp-dir.ts";

test("a file is created, keeps what is written at any offset, and is read short only at its end", async () => {
  await using dir = await tempDir();
  const path = join(dir.path, "blocks");
  const file = openByteFile(path);
  file.write(Buffer.from("..blocks"), 2, 6, 4_096);
  await file.sync();
  file.close();
  const again = openByteFile(path);
  const into = Buffer.alloc(10);
  expect(again.size).toBe(4_102);
  expect(again.read(into, 1, 4, 4_097)).toBe(4);
  expect(into.toString("latin1", 1, 5)).toBe("lock");
  expect(again.read(into, 0, 10, 4_100)).toBe(2);
  again.truncate(4_098);
  expect(again.size).toBe(4_098);
  again.close();
});

test("a call of a closed file is a store's failure", async () => {
  await using dir = await tempDir();
  const file = openByteFile(join(dir.path, "blocks"));
  file.close();
  const failures = [() => file.write(Buffer.alloc(1), 0, 1, 0), () => file.read(Buffer.alloc(1), 0, 1, 0), () => file.size];
  for (const call of failures) expect(failureOf(call)).toBe(true);
  const synced = file.sync().catch(isStoreFailure);
  expect(await synced).toBe(true);
});

test("a full disk is a store's failure", () => {
  const disk = smallDisk(65_536);
  if ("unavailable" in disk) return console.warn(disk.unavailable);
  using _ = disk;
  const file = openByteFile(join(disk.path, "blocks"));
  expect(failureOf(() => file.write(Buffer.alloc(100_000), 0, 100_000, 0))).toBe(true);
  file.close();
  return undefined;
});

test("an error of the program is no store's failure", () => {
  expect(failureOf(() => Buffer.alloc(1).readInt32LE(7))).toBe(false);
  expect(isStoreFailure("ENOSPC")).toBe(false);
});

function failureOf(call: () => unknown): boolean {
  try {
    call();
  } catch (e) {
    return isStoreFailure(e);
  }
  throw new Error("It did not fail");
}
