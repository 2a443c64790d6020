/**
 * `bun test/simulation/planted/find-seeds.ts [NAME…]`: looks whether the planted bugs, or those named, are still found by
 * the seeds in found-by.json, and from the first seed on for one by which each of the others is found. The suite tries
 * those first, which saves most of its time. A bug that no seed finds keeps none.
 */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { repository } from "../../support/programs/repository.ts";
import { PLANTED_BUGS } from "./planted-bugs.ts";

const SEEDS_MAX = 2_000;
const path = join(import.meta.dir, "found-by.json");

async function firstThatFinds(name: string, from: number, seeds: number): Promise<number | undefined> {
  const seedsOf = ["--from", String(from), "--seeds", String(seeds)];
  const command = ["--preload", "./test/simulation/plant.ts", "test/simulation/simulate.ts", "--whole", ...seedsOf];
  const child = Bun.spawn([process.execPath, ...command], {
    cwd: repository,
    env: { ...process.env, PLANTED_BUG: name },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const found = /^Seed (\d+) breaks (?!no-crash)/m.exec(await new Response(child.stdout).text())?.[1];
  return found === undefined ? undefined : Number(found);
}

const known = (await Bun.file(path).json()) as Record<string, number>;
const names = Object.keys(PLANTED_BUGS);
const left = process.argv.length > 2 ? process.argv.slice(2) : [...names];
const work = async (): Promise<void> => {
  for (let name = left.shift(); name !== undefined; name = left.shift()) {
    const last = known[name];
    const kept = last === undefined ? undefined : await firstThatFinds(name, last, 1);
    const seed = kept ?? (await firstThatFinds(name, 1, SEEDS_MAX));
    if (kept === undefined) console.log(`${seed ?? "no seed"}  ${name}`);
    if (seed === undefined) delete known[name];
    else known[name] = seed;
  }
};
await Promise.all(Array.from({ length: availableParallelism() }, work));
const found = Object.fromEntries(names.flatMap((name) => (known[name] === undefined ? [] : [[name, known[name]]])));
await Bun.write(path, `${JSON.stringify(found, null, 2)}\n`);
