import { parseArgs } from "node:util";
import type { Plan } from "./plan.ts";
import { planOf, simulate } from "./run.ts";
import { shrink } from "./shrink.ts";

const USAGE = `Usage: bun run simulate [--seeds N] [--from N] [--jobs N]   runs N seeds (default 1000), beginning with seed --from
                                                           (default 1), in --jobs processes (default 1)
                           [--first N]                     runs seed N before the others
                           [--whole]                       tells a failure as it is, and does not look for a shorter one
       bun run simulate --seed N                           runs one seed, and prints what happens in it

Runs the real services on a log in memory, in virtual time, with faults, and compares them with a reference. A seed
always gives the same run.`;

const PROGRESS_MS = 500;

interface Options {
  readonly from: number;
  readonly seeds: number;
  readonly jobs: number;
  /** A seed that is run before the others. */
  readonly first: number | undefined;
  readonly isOne: boolean;
  /** Whether a failure is told with its whole plan; shortening it takes hundreds of runs. */
  readonly isWhole: boolean;
}

function readOptions(): Options | undefined {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string", default: "1000" },
      from: { type: "string", default: "1" },
      jobs: { type: "string", default: "1" },
      seed: { type: "string" },
      first: { type: "string" },
      whole: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const count = (name: keyof typeof values, text: string): number => {
    if (/^[0-9]{1,9}$/.test(text)) return Number(text);
    throw new Error(`--${name} is ${text}; it must be a number from 0 to 999999999.`);
  };
  if (values.help) return undefined;
  const first = values.first === undefined ? undefined : count("first", values.first);
  if (values.seed !== undefined)
    return { from: count("seed", values.seed), seeds: 1, jobs: 1, first, isOne: true, isWhole: values.whole };
  const jobs = Math.max(1, count("jobs", values.jobs));
  const [from, seeds] = [count("from", values.from), count("seeds", values.seeds)];
  return { from, seeds, jobs, first, isOne: false, isWhole: values.whole };
}

/** Reports the failure with its shortest trace, unless it is to be told whole, and how to see it again. */
function report(seed: number, invariant: string, isWhole: boolean): void {
  const plan = planOf(seed);
  const fails = (candidate: Plan): boolean => simulate(seed, candidate).violation?.invariant === invariant;
  const shortest = isWhole ? plan : shrink(plan, fails);
  const trace: string[] = [];
  const { violation } = simulate(seed, shortest, (line) => trace.push(line));
  console.log(`\nSeed ${seed} breaks ${violation?.message}\n`);
  console.log(
    isWhole
      ? trace.join("\n")
      : `The shortest plan that does so has ${shortest.steps.length} of its ${plan.steps.length} steps, on ${worldOf(shortest)} in place of ${worldOf(plan)}:\n${trace.join("\n")}\n`,
  );
  console.log(`Again: bun run simulate --seed ${seed}`);
}

const worldOf = ({ carts, orderServices, partitions }: Plan): string =>
  `${carts} carts, ${orderServices} order services and ${partitions} partitions`;

interface Progress {
  readonly seeds: number;
  readonly steps: number;
  readonly virtual_ms: number;
}

/** Runs the seeds in this process. Returns false if one of them fails, after reporting it. */
async function runSeeds({ from, seeds, isOne, isWhole }: Options, onProgress: (progress: Progress) => void): Promise<boolean> {
  let [steps, virtual_ms, shown_ms] = [0, 0, performance.now()];
  for (let seed = from; seed < from + seeds; seed++) {
    const result = simulate(seed, planOf(seed), isOne ? console.log : undefined);
    // A rejected promise that nobody handles ends the process here, as it would end a service.
    await new Promise((resolve) => setImmediate(resolve));
    steps += result.steps;
    virtual_ms += result.virtual_ms;
    if (isOne) console.log(`The run's fingerprint is ${result.fingerprint}.`);
    if (result.violation) {
      report(seed, result.violation.invariant, isWhole);
      return false;
    }
    if (performance.now() - shown_ms < PROGRESS_MS && seed < from + seeds - 1) continue;
    shown_ms = performance.now();
    onProgress({ seeds: seed - from + 1, steps, virtual_ms });
  }
  return true;
}

/** Runs the seeds in several processes, a part in each, until all have passed or one has failed. */
async function runJobs({ from, seeds, jobs, isWhole }: Options, onProgress: (progress: Progress) => void): Promise<boolean> {
  const progress: Progress[] = Array.from({ length: jobs }, () => ({ seeds: 0, steps: 0, virtual_ms: 0 }));
  const sum = (part: keyof Progress): number => progress.reduce((total, each) => total + each[part], 0);
  const children = progress.map((_, job) => {
    const [first, next] = [Math.floor((job * seeds) / jobs), Math.floor(((job + 1) * seeds) / jobs)];
    const range = ["--seeds", String(next - first), "--from", String(from + first), ...(isWhole ? ["--whole"] : [])];
    return Bun.spawn([process.execPath, ...process.execArgv, import.meta.path, ...range], {
      stdio: ["ignore", "inherit", "inherit"],
      ipc: (message: Progress) => {
        progress[job] = message;
        onProgress({ seeds: sum("seeds"), steps: sum("steps"), virtual_ms: sum("virtual_ms") });
      },
    });
  });
  const passed = children.map(async (child) => {
    if ((await child.exited) === 0) return true;
    for (const other of children) other.kill();
    return false;
  });
  return (await Promise.all(passed)).every(Boolean);
}

async function main(options: Options): Promise<number> {
  const { from, seeds, jobs, first } = options;
  const send = process.send?.bind(process);
  if (send) return (await runSeeds(options, (progress) => void send(progress))) ? 0 : 1;

  if (first !== undefined && !(await runSeeds({ ...options, from: first, seeds: 1 }, () => undefined))) return 1;
  const started_ms = performance.now();
  let last: Progress = { seeds: 0, steps: 0, virtual_ms: 0 };
  const onProgress = (progress: Progress) => {
    last = progress;
    if (!process.stderr.isTTY) return;
    const left_s = ((performance.now() - started_ms) / last.seeds) * ((seeds - last.seeds) / 1_000);
    process.stderr.write(last.seeds === seeds ? "\r\x1b[K" : `\r${last.seeds} of ${seeds} seeds, ${Math.ceil(left_s)} s left   `);
  };
  if (!(await (jobs > 1 ? runJobs : runSeeds)(options, onProgress))) return 1;
  const took_s = (performance.now() - started_ms) / 1_000;
  const rate = `${(seeds / took_s).toFixed(0)} a second, ${(last.virtual_ms / 1_000 / took_s).toFixed(0)} times real time`;
  console.log(`${seeds} seeds from ${from} on hold: ${last.steps} steps in ${took_s.toFixed(1)} s (${rate}).`);
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
