import { parseArgs } from "node:util";
import { planOf, simulate } from "./run.ts";
import { shrink } from "./shrink.ts";

const USAGE = `Usage: bun run simulate [--seeds N] [--from N]     runs N seeds (default 1000), from a first one on (default 1)
       bun run simulate --seed N                    runs one, and tells what happens in it

Runs the real services on a log in memory, in virtual time, with faults, and holds them to a reference. A seed always gives the same run.`;

const PROGRESS_MS = 500;

interface Options {
  readonly from: number;
  readonly seeds: number;
  readonly isOne: boolean;
}

function readOptions(): Options | undefined {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string", default: "1000" },
      from: { type: "string", default: "1" },
      seed: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const count = (name: "seeds" | "from" | "seed", text: string): number => {
    if (/^[0-9]{1,9}$/.test(text)) return Number(text);
    throw new Error(`--${name} is ${text}; it must be a number from 0 to 999999999.`);
  };
  if (values.help) return undefined;
  if (values.seed !== undefined) return { from: count("seed", values.seed), seeds: 1, isOne: true };
  return { from: count("from", values.from), seeds: count("seeds", values.seeds), isOne: false };
}

/** Tells the failure by its shortest trace, and how to see it again. */
async function report(seed: number, invariant: string): Promise<void> {
  const fails = async (plan: ReturnType<typeof planOf>) => simulate(seed, plan).violation?.invariant === invariant;
  const plan = await shrink(planOf(seed), fails);
  const trace: string[] = [];
  const { violation } = simulate(seed, plan, (line) => trace.push(line));
  const { length } = planOf(seed).steps;
  console.log(`\nSeed ${seed} breaks ${violation?.message}\n`);
  console.log(`The shortest plan that does so has ${plan.steps.length} of its ${length} steps:\n${trace.join("\n")}\n`);
  console.log(`Again: bun run simulate --seed ${seed}`);
}

async function main({ from, seeds, isOne }: Options): Promise<number> {
  const started_ms = performance.now();
  let shown_ms = started_ms;
  let steps = 0;
  let virtual_ms = 0;
  for (let seed = from; seed < from + seeds; seed++) {
    const result = simulate(seed, planOf(seed), isOne ? console.log : undefined);
    steps += result.steps;
    virtual_ms += result.virtual_ms;
    if (isOne) console.log(`The run's fingerprint is ${result.fingerprint}.`);
    if (result.violation) {
      await report(seed, result.violation.invariant);
      return 1;
    }
    if (process.stderr.isTTY && performance.now() - shown_ms > PROGRESS_MS) {
      shown_ms = performance.now();
      const done = seed - from + 1;
      const left_s = ((shown_ms - started_ms) / done) * ((seeds - done) / 1_000);
      process.stderr.write(`\r${done} of ${seeds} seeds, ${Math.ceil(left_s)} s left   `);
    }
  }
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  const took_s = (performance.now() - started_ms) / 1_000;
  const rate = `${(seeds / took_s).toFixed(0)} a second, ${(virtual_ms / 1_000 / took_s).toFixed(0)} times real time`;
  console.log(`${seeds} seeds from ${from} on hold: ${steps} steps in ${took_s.toFixed(1)} s (${rate}).`);
  return 0;
}

try {
  const options = readOptions();
  if (!options) console.log(USAGE);
  process.exit(options ? await main(options) : 0);
} catch (e) {
  console.error(e instanceof Error ? `${e.message}\n\n${USAGE}` : e);
  process.exit(2);
}
