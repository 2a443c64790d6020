import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileStorage } from "../../src/storage/file-storage.ts";
import { codeOf } from "../support/code-of.ts";
import { storageContract } from "./storage-contract.ts";

const dir = mkdtempSync(join(tmpdir(), "order-processing-objects-"));
const storage = new FileStorage(join(dir, "not/there/yet"), () => crypto.randomUUID());
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe("a directory", () => {
  storageContract(() => storage);

  test("has nothing unfinished in it, no empty directories, and files for this user alone", async () => {
    await storage.put("own/file", Buffer.from("x"));
    expect(statSync(join(dir, "not/there/yet/own/file")).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(dir, "not/there/yet"), { recursive: true }).join()).not.toContain("unfinished");
    await storage.remove("own/file");
    expect(readdirSync(join(dir, "not/there/yet"))).not.toContain("own");
  });

  test("shows what a crash left of an object under another name", async () => {
    await storage.put("crash/whole", Buffer.from("x"));
    writeFileSync(join(dir, "not/there/yet/crash/torn.unfinished-1"), "half");
    expect(await storage.get("crash/torn", 10)).toBeUndefined();
    expect((await storage.list("crash/")).map(({ name }) => name).toSorted()).toEqual(["crash/torn.unfinished-1", "crash/whole"]);
  });

  test("that cannot be written says so, with what failed", async () => {
    writeFileSync(join(dir, "a-file"), "x");
    const broken = new FileStorage(join(dir, "a-file"), () => "id");
    expect(await codeOf(broken.put("x/y", Buffer.from("x")))).toBe("STORAGE_FAILED");
    await expect(broken.put("x/y", Buffer.from("x"))).rejects.toThrow(/^Writing x\/y failed at file:\/\/.*a-file/);
    chmodSync(join(dir, "a-file"), 0o600);
  });
});
