import { describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { archive, record, rigWith, SOURCE } from "../strange-topics/rig.ts";

describe("archives that were not made here", () => {
  test("a small file that decompresses to very much is refused with a sentence, and never in memory as a whole", async () => {
    await using rig = await rigWith([record(0)]);
    expect((await archive(rig)).code).toBe(0);
    const file = join(rig.dataDir, "archive", SOURCE, "0000", `${"0".repeat(20)}-${"0".repeat(20)}.jsonl.gz`);
    const megabyte = gzipSync("x".repeat(1024 * 1024));
    const sha256 = () => new Bun.CryptoHasher("sha256").update(readFileSync(file)).digest("hex");
    const manifest = join(rig.dataDir, "archive", `${SOURCE}.manifest.json`);
    const original = sha256();
    writeFileSync(file, Buffer.concat(Array.from({ length: 2_000 }, () => megabyte)));
    writeFileSync(manifest, readFileSync(manifest, "utf8").replace(original, sha256()));
    const before = process.memoryUsage().rss;
    expect(await archive(rig, "--restore")).toEqual({
      code: 2,
      said: expect.stringMatching(/cannot be used: a line has more than 134217728 bytes/),
    });
    expect(process.memoryUsage().rss - before).toBeLessThan(500 * 1024 * 1024);
  });

  test("a manifest of another shape is refused", async () => {
    await using rig = await rigWith([record(0)]);
    mkdirSync(join(rig.dataDir, "archive"));
    for (const manifest of ["null", "[]", `{"version":1,"topic":"${SOURCE}","partitions":1,"files":[]}`]) {
      writeFileSync(join(rig.dataDir, "archive", `${SOURCE}.manifest.json`), manifest);
      expect(await archive(rig, "--restore")).toEqual({ code: 2, said: expect.stringContaining("is no manifest of foreign") });
    }
  });

  test("files are their owner's alone, also where another program wrote them", async () => {
    await using rig = await rigWith([record(0)]);
    expect((await archive(rig)).code).toBe(0);
    const directory = join(rig.dataDir, "archive", SOURCE);
    const file = join(directory, "0000", `${"0".repeat(20)}-${"0".repeat(20)}.jsonl.gz`);
    const modes = () => [file, join(directory, "0000"), directory].map((path) => statSync(path).mode & 0o777);
    expect(modes()).toEqual([0o600, 0o700, 0o700]);
  });
});
