import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { PLANTED_BUGS } from "./planted-bugs.ts";
import { planOf, simulate } from "./run.ts";

const SEEDS = 300;
/** A planted bug must show within so many. */
const SEEDS_TO_FIND_MAX = 2_000;
const FIND_MS_MAX = 120_000;

const repository = join(import.meta.dir, "../..");

describe("the simulation", () => {
  test(
    `holds for ${SEEDS} seeds`,
    async () => {
      for (let seed = 1; seed <= SEEDS; seed++) expect([seed, simulate(seed, planOf(seed)).violation]).toEqual([seed, undefined]);
    },
    FIND_MS_MAX,
  );

  test("gives the same run for the same seed, to the byte", async () => {
    for (const seed of [3, 14, 159, 2_653]) {
      const [first, second] = [simulate(seed, planOf(seed)), simulate(seed, planOf(seed))];
      expect(first).toEqual(second);
      expect(first.fingerprint).not.toBe(simulate(seed + 1, planOf(seed + 1)).fingerprint);
    }
  });
});

describe("the simulation finds that", () => {
  test.concurrent.each(Object.keys(PLANTED_BUGS))(
    "%s",
    async (name) => {
      const args = [
        "--preload",
        "./test/simulation/plant.ts",
        "test/simulation/simulate.ts",
        "--seeds",
        String(SEEDS_TO_FIND_MAX),
      ];
      const child = Bun.spawn([process.execPath, ...args], {
        cwd: repository,
        env: { ...process.env, PLANTED_BUG: name },
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
      expect([code, errors]).toEqual([1, ""]);
      expect(output).toMatch(/^Seed \d+ breaks (?!no-crash)/m);
    },
    FIND_MS_MAX,
  );
});
