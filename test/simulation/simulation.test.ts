import { describe, expect, test } from "bun:test";
import { PLANTED_BUGS } from "./planted/planted-bugs.ts";
import foundBy from "./planted/found-by.json" with { type: "json" };
import { planOf, simulate } from "./run.ts";
import { repository } from "../support/programs/repository.ts";

const SEEDS = 300;
/** A planted bug must show within this many seeds. */
const SEEDS_TO_FIND_MAX = 2_000;
const FIND_MS_MAX = 400_000;
/** The seeds by which the planted bugs were found when that was last looked for, which are tried first. */
const FOUND_BY: Readonly<Record<string, number>> = foundBy;

/** Runs the command in a process of its own, with a bug in the source if one is named. */
async function runCommand(args: readonly string[], plantedBug?: string) {
  const preload = plantedBug === undefined ? [] : ["--preload", "./test/simulation/plant.ts"];
  const child = Bun.spawn([process.execPath, ...preload, "test/simulation/simulate.ts", ...args], {
    cwd: repository,
    env: { ...process.env, PLANTED_BUG: plantedBug },
    stdout: "pipe",
    stderr: "pipe",
    timeout: FIND_MS_MAX,
    killSignal: "SIGKILL",
  });
  const [output, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { output, errors, code };
}

describe("the simulation", () => {
  test(
    `holds for ${SEEDS} seeds`,
    async () => {
      for (let seed = 1; seed <= SEEDS; seed++) {
        expect([seed, simulate(seed, planOf(seed)).violation]).toEqual([seed, undefined]);
        await Bun.sleep(0);
      }
    },
    FIND_MS_MAX,
  );

  test(
    "gives the same run for the same seed, to the byte, alone and among others",
    async () => {
      for (const seed of [3, 14, 159, 2_653]) {
        const [first, second] = [simulate(seed, planOf(seed)), simulate(seed, planOf(seed))];
        expect(first).toEqual(second);
        expect(first.fingerprint).not.toBe(simulate(seed + 1, planOf(seed + 1)).fingerprint);
        const alone = await runCommand(["--seed", String(seed)]);
        expect(alone).toMatchObject({ code: 0, errors: "" });
        expect(alone.output).toContain(`The run's fingerprint is ${first.fingerprint}.`);
      }
    },
    FIND_MS_MAX,
  );

  test(
    "shares seeds among processes, and one that fails is told with its shortest plan and can be repeated",
    async () => {
      const bug = "the last create wins";
      expect(await runCommand(["--seeds", "20", "--jobs", "2"])).toMatchObject({ code: 0, errors: "" });
      const found = await runCommand(["--seeds", "100", "--jobs", "2"], bug);
      const [, seed = "", invariant = ""] = /^Seed (\d+) breaks ([a-z-]+): /m.exec(found.output) ?? [];
      const [, left, all] = /has (\d+) of its (\d+) steps/.exec(found.output) ?? [];
      expect([found.code, Number(left) < Number(all) / 3]).toEqual([1, true]);
      expect(found.output).toContain(`Again: bun run simulate --seed ${seed}`);
      const again = await runCommand(["--seed", seed], bug);
      expect(again.code).toBe(1);
      expect(again.output).toContain(`Seed ${seed} breaks ${invariant}: `);
    },
    FIND_MS_MAX,
  );
});

describe("the simulation finds that", () => {
  test.concurrent.each(Object.keys(PLANTED_BUGS))(
    "%s",
    async (name) => {
      const seeds = ["--first", String(FOUND_BY[name] ?? 1), "--seeds", String(SEEDS_TO_FIND_MAX)];
      const { output, errors, code } = await runCommand(["--whole", ...seeds], name);
      expect([code, errors]).toEqual([1, ""]);
      expect(output).toMatch(/^Seed \d+ breaks (?!no-crash)/m);
    },
    FIND_MS_MAX,
  );
});
