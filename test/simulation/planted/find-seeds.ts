/**
 * `bun test/simulation/planted/find-seeds.ts [NAME…]`: looks for the planted bugs, or those named, from the first seed on,
 * and writes the seeds by which they are found to found-by.json. The suite tries those first, which saves most of its
 * time. A bug that no seed finds keeps none.
 */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { repository } from "../../support/programs/repository.ts";
import { PLANTED_BUGS } from "./planted-bugs.ts";

const SEEDS_MAX = 2_000;
const path = join(import.meta.dir, "found-by.json");

async function seedOf(name: string): Promise<number | undefined> {
  const command = [
    "--preload",
    "./test/simulation/plant.ts",
    "test/simulation/simulate.ts",
    "--whole",
    "--seeds",
    String(SEEDS_MAX),
  ];
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
    const seed = await seedOf(name);
    console.log(`${seed ?? "no seed"}  ${name}`);
    if (seed === undefined) delete known[name];
    else known[name] = seed;
  }
};
await Promise.all(Array.from({ length: availableParallelism() }, work));
const found = Object.fromEntries(names.flatMap((name) => (known[name] === undefined ? [] : [[name, known[name]]])));
await Bun.write(path, `${JSON.stringify(found, null, 2)}\n`);
