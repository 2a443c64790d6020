import { expect, test } from "bun:test";
import { scripts } from "../package.json";
import { repository } from "./support/programs/repository.ts";

const withHelp = [
  "start",
  "producer",
  "consumer",
  "replay",
  "redrive",
  "archive",
  "audit",
  "state",
  "snapshot",
  "bench",
  "simulate",
  "soak",
  "fuzz:http",
];

/** The output that a person who types the command sees, without colours. */
async function said(...args: readonly string[]): Promise<{ readonly code: number; readonly output: string }> {
  const { PATH, HOME, TMPDIR } = process.env;
  const child = Bun.spawn([process.execPath, ...args], {
    cwd: repository,
    env: { PATH, HOME, TMPDIR, NO_COLOR: "1" },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [code, stdout, stderr] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code, output: stderr + stdout };
}

test.each(withHelp)("bun run %s: the first word is the program's own, where all is installed", async (script) => {
  const { code, output } = await said("run", script, "--help");
  expect({ code, output }).toEqual({ code: 0, output: expect.stringMatching(/^Usage: bun /) });
});

test("bun start does the same", async () => {
  expect((await said("start", "--help")).output).toStartWith("Usage: bun start");
});

test("every script that runs something of ours installs what is missing first", () => {
  const alone = ["installed", "fmt"];
  const names = Object.keys(scripts).filter((name) => !name.startsWith("pre") && !name.startsWith("check:"));
  const without = names.filter((name) => !alone.includes(name) && !(`pre${name}` in scripts));
  expect(without).toEqual([]);
  for (const [name, command] of Object.entries(scripts))
    if (name.startsWith("pre")) expect({ name, command }).toEqual({ name, command: "bun run installed" });
});

test("every service runs with the same settings of Bun", () => {
  const before = ({ start, producer, consumer }: typeof scripts) => [start, producer, consumer].map((it) => it.split(" bun ")[0]);
  expect(before(scripts)).toEqual(Array.from({ length: 3 }, () => "BUN_JSC_forceRAMSize=${BUN_JSC_forceRAMSize:-268435456}"));
});
