import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runArchive } from "../../src/tools/archive/archive-command.ts";
import type { CommandContext } from "../../src/tools/command.ts";
import { runRedrive } from "../../src/tools/redrive/redrive-command.ts";
import { runReplay } from "../../src/tools/replay/replay-command.ts";
import { smallDisk } from "../support/stores/small-disk.ts";
import { tempDir } from "../support/stores/temp-dir.ts";
import { type OperationsRig, operationsRig, TOPIC } from "./rig.ts";

const RECORDS = 200;
const DISK_BYTES = 4 << 20;
const ROOM_BYTES = 256 << 10;

async function rigWithRecords(): Promise<OperationsRig> {
  const rig = await operationsRig(2);
  await rig.log.createTopic(`${TOPIC}.dlq`, 2);
  const bytes = () => Buffer.from(crypto.getRandomValues(new Uint8Array(4_096)));
  const record = (n: number) => ({ partition: n % 2, key: `ORD-${n}`, value: bytes(), timestamp_ms: n, headers: [] });
  await rig.append(...Array.from({ length: RECORDS }, (_, n) => record(n)));
  return rig;
}

/** The command, with a data directory of its own. */
const inDataDir =
  (run: typeof runReplay, data_dir: string) =>
  (args: readonly string[], context: CommandContext): Promise<number> =>
    run(args, { ...context, config: { ...context.config, data_dir } });

const sentence = (what: string, path: string): string =>
  expect.stringMatching(new RegExp(`^A file cannot be used: .*${path}.*${what}`));

test("a file that something else stands in the place of: one sentence, and nothing was done", async () => {
  await using rig = await rigWithRecords();
  await using dir = await tempDir();
  writeFileSync(join(dir.path, "operations"), "");
  for (const [command, args] of [
    [runReplay, "--target other"],
    [runRedrive, "--yes"],
    [runArchive, `--dir ${join(dir.path, "archive")}`],
  ] as const) {
    const ran = await rig.run(inDataDir(command, dir.path), args);
    expect(ran).toEqual({ code: 2, said: sentence("is a file", join(dir.path, "operations")) });
  }
  const archive = join(dir.path, "archive");
  mkdirSync(join(archive, `${TOPIC}.plan.json.new`), { recursive: true });
  expect(await rig.run(runArchive, `--dir ${archive}`)).toEqual({ code: 2, said: sentence("", `${TOPIC}.plan.json`) });
  expect(await rig.log.partitionCount("other")).toBe(0);
});

const probed = smallDisk(DISK_BYTES);
if ("unavailable" in probed)
  console.warn(`\n!!! SKIPPED: operations on a disk that is full or read-only: ${probed.unavailable}\n`);

describe.skipIf("unavailable" in probed)("on a disk", () => {
  const disk = probed as Exclude<typeof probed, { unavailable: string }>;
  afterAll(() => disk[Symbol.dispose]());
  const remount = (mode: "ro" | "rw") => Bun.spawnSync(["mount", "-o", `remount,${mode}`, disk.path]);

  test("that is full: what does not begin says so, with 2; an archive that had begun says how to go on, with 1, and does", async () => {
    await using rig = await rigWithRecords();
    const archive = (name: string) => rig.run(runArchive, `--dir ${join(disk.path, name)}`);
    mkdirSync(join(disk.path, "operations"));
    await disk.ballast.fill();
    for (const [command, args] of [
      [runReplay, "--target other"],
      [runRedrive, "--yes"],
    ] as const)
      expect(await rig.run(inDataDir(command, disk.path), args)).toEqual({
        code: 2,
        said: sentence("make some", join(disk.path, "operations")),
      });
    expect(await archive("full")).toEqual({ code: 2, said: expect.stringContaining("there is no room left for") });
    await disk.ballast.remove();
    // There is room for a plan, but not for the first file.
    writeFileSync(join(disk.path, "room"), Buffer.alloc(ROOM_BYTES));
    await disk.ballast.fill();
    rmSync(join(disk.path, "room"));
    const { code, said } = await archive("begun");
    expect([code, said]).toEqual([
      1,
      expect.stringContaining(`.jsonl.gz; make some, or name another directory.\nTo go on: bun run`),
    ]);
    const left = readdirSync(join(disk.path, "begun"), { recursive: true, encoding: "utf8" });
    expect(left.filter((name) => name.endsWith(".new"))).toEqual([]);
    await disk.ballast.remove();
    expect(await archive("begun")).toMatchObject({ code: 0 });
  });

  test("that is read-only by now: an archive is looked through, and it is said that its manifest cannot be written", async () => {
    await using rig = await rigWithRecords();
    const archive = () => rig.run(runArchive, `--dir ${join(disk.path, "kept")}`);
    expect(await archive()).toMatchObject({ code: 0 });
    remount("ro");
    try {
      const { code, said } = await archive();
      expect([code, said]).toEqual([
        1,
        expect.stringContaining(`${TOPIC}.manifest.json lies on a file system that is read-only`),
      ]);
      expect(await rig.run(runArchive, `--restore --dir ${join(disk.path, "kept")}`)).toMatchObject({ code: 0 });
    } finally {
      remount("rw");
    }
  });
});
