import { writeFileSync } from "node:fs";
import { arch, cpus, platform, release, totalmem } from "node:os";
import elysia from "elysia/package.json" with { type: "json" };
import kafkajs from "kafkajs/package.json" with { type: "json" };
import { removeAllTempDirs } from "../support/stores/temp-dir.ts";
import { killAllTied } from "../support/programs/tied-process.ts";
import { type Figure, table } from "./figures.ts";
import { type Options, optionsOf, type StepName, usage } from "./options.ts";
import { measureApply } from "./steps/measure-apply.ts";
import { measureCarts } from "./steps/measure-carts.ts";
import { loadGenerator, measureCreates } from "./steps/measure-creates.ts";
import { measureGrowth } from "./steps/measure-growth.ts";
import { measureHop } from "./steps/measure-hop.ts";
import { measureIndex } from "./steps/measure-index.ts";
import { measureInstances } from "./steps/measure-instances.ts";
import { measureLive } from "./steps/measure-live.ts";
import { measureMemory } from "./steps/measure-memory.ts";
import { measureReadable, measureReadableUnderLoad } from "./steps/measure-readable.ts";
import { measureRestore } from "./steps/measure-restore.ts";
import { measureSnapshots } from "./steps/measure-snapshots.ts";
import { measureStart } from "./steps/measure-start.ts";
import { measureTakeover } from "./steps/measure-takeover.ts";
import { embeddedTarget, kafkaTarget, type Target } from "./target.ts";

/** What fails without being in the way of other figures is told to `onFailure`. */
type Measurement = (target: Target, options: Options, onFailure: (message: string) => void) => Promise<Figure[]>;

const measurements: Readonly<Record<StepName, readonly Measurement[]>> = {
  apply: [measureApply],
  creates: [measureCreates],
  readable: [measureReadable],
  restore: [measureRestore],
  memory: [measureMemory],
  index: [measureIndex],
  start: [measureStart],
  growth: [measureGrowth],
  live: [measureLive, measureReadableUnderLoad],
  hop: [measureHop],
  takeover: [measureTakeover],
  snapshots: [measureSnapshots],
  instances: [measureInstances],
  carts: [measureCarts],
};

function targets({ logs }: Options): Target[] {
  const brokers = process.env.KAFKA_BROKERS;
  const embedded = logs.includes("embedded") ? [embeddedTarget()] : [];
  if (!logs.includes("kafka") || !brokers) return embedded;
  const elsewhere = brokers.split(",").filter((broker) => !/^(127\.0\.0\.1|localhost):\d+$/.test(broker.trim()));
  if (elsewhere.length > 0)
    throw new Error(`KAFKA_BROKERS names ${elsewhere.join(", ")}; the bench loads only 127.0.0.1 or localhost.`);
  return [...embedded, kafkaTarget(brokers, `${process.pid}-${Date.now()}`)];
}

async function measure(target: Target, options: Options) {
  const figures: Figure[] = [];
  const failures: string[] = [];
  for (const step of options.steps) {
    const started_ms = performance.now();
    const onFailure = (message: string) => void failures.push(`${target.name}, ${step}: ${message}`);
    for (const measurement of measurements[step]) {
      try {
        figures.push(...(await measurement(target, options, onFailure)));
      } catch (e) {
        // The other figures are still worth having.
        onFailure(e instanceof Error ? e.message : String(e));
      }
    }
    console.error(`${target.name}: ${step} took ${((performance.now() - started_ms) / 1_000).toFixed(0)} s`);
  }
  // A system without /proc has no figures of CPU time, nor of peaks.
  return { figures: figures.filter(({ figure }) => !Number.isNaN(figure)), failures };
}

const machine = () => ({
  date: new Date().toISOString(),
  versions: { bun: Bun.version, elysia: elysia.version, kafkajs: kafkajs.version },
  cpus: cpus().length,
  cpu: cpus()[0]?.model ?? "unknown",
  memory_mib: Math.round(totalmem() / 1_048_576),
  system: `${platform()} ${release()} ${arch()}`,
  load_generator: loadGenerator,
});

async function main(): Promise<number> {
  const options = optionsOf(process.argv.slice(2));
  if (options.help) {
    console.log(usage);
    return 0;
  }
  const failures: string[] = [];
  const all: Figure[] = [];
  const measured = targets(options);
  if (measured.length === 0) throw new Error("There is no log to measure: --log kafka needs KAFKA_BROKERS.");
  for (const target of measured) {
    const result = await measure(target, options);
    all.push(...result.figures);
    failures.push(...result.failures);
    const file = options.json?.replace(/(\.json)?$/, `-${target.name}.json`) ?? `bench-${target.name}.json`;
    writeFileSync(file, `${JSON.stringify({ ...machine(), log: target.name, options, ...result }, null, 2)}\n`);
    console.error(`wrote ${file}`);
  }
  const { date, cpus: cores, cpu, versions } = machine();
  console.log(`${date}, ${cores} × ${cpu}, Bun ${versions.bun}, load by ${loadGenerator}\n\n${table(all)}`);
  for (const failure of failures) console.error(`FAILED ${failure}`);
  return failures.length === 0 ? 0 : 1;
}

async function cleanUp(): Promise<void> {
  await killAllTied();
  await removeAllTempDirs();
}

for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => void cleanUp().then(() => process.exit(130)));
let code = 1;
try {
  code = await main();
} catch (e) {
  console.error(e instanceof Error ? e.message : e);
} finally {
  await cleanUp();
}
process.exit(code);
