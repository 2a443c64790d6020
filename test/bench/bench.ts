import { writeFileSync } from "node:fs";
import { arch, cpus, platform, release, totalmem } from "node:os";
import { parseArgs } from "node:util";
import elysia from "elysia/package.json" with { type: "json" };
import kafkajs from "kafkajs/package.json" with { type: "json" };
import { removeAllTempDirs } from "../support/stores/temp-dir.ts";
import { killAllTied } from "../support/programs/tied-process.ts";
import { type Figure, table } from "./figures.ts";
import { measureApply } from "./measure-apply.ts";
import { loadGenerator, measureCreates } from "./measure-creates.ts";
import { measureMemory } from "./measure-memory.ts";
import { measureReadable } from "./measure-readable.ts";
import { measureRestore } from "./measure-restore.ts";
import { embeddedTarget, kafkaTarget, type Target } from "./target.ts";

const usage = `Usage: bun run bench [options]      on the embedded log and, with KAFKA_BROKERS (loopback only), on that broker

  --events N              events of the topic that is applied, a multiple of 4 (default 1000000)
  --seconds N             length of each load step (default 10)
  --orders-for-memory N   orders at which memory is read (default 1000000)
  --peer '<command>'      the same job by another program, run turn about with ours on the broker's topic; {brokers}, {topic} and
                          {events} are filled in, and it prints a JSON line with events_per_s_processing or events_per_s
  --json FILE             where the JSON of each log goes (default bench-<log>.json)`;

const updates_per_order = 3;

const counted = (name: string, text: string, max: number): number => {
  const n = Number(text);
  if (Number.isInteger(n) && n > 0 && n <= max) return n;
  throw new Error(`--${name} is ${text}; it must be an integer from 1 to ${max}.`);
};

function readOptions() {
  const { values } = parseArgs({
    options: {
      events: { type: "string", default: "1000000" },
      seconds: { type: "string", default: "10" },
      "orders-for-memory": { type: "string", default: "1000000" },
      peer: { type: "string" },
      json: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const events = counted("events", values.events, 20_000_000);
  if (events % (1 + updates_per_order) !== 0) throw new Error(`--events is ${events}; it must be a multiple of 4.`);
  return {
    events,
    step_s: counted("seconds", values.seconds, 300),
    ordersForMemory: counted("orders-for-memory", values["orders-for-memory"], 20_000_000),
    peer: values.peer,
    json: values.json,
    help: values.help,
  };
}

function targets(): Target[] {
  const brokers = process.env.KAFKA_BROKERS;
  if (!brokers) return [embeddedTarget()];
  const elsewhere = brokers.split(",").filter((broker) => !/^(127\.0\.0\.1|localhost):\d+$/.test(broker.trim()));
  if (elsewhere.length > 0)
    throw new Error(`KAFKA_BROKERS names ${elsewhere.join(", ")}; the bench loads only 127.0.0.1 or localhost.`);
  return [embeddedTarget(), kafkaTarget(brokers, `${process.pid}-${Date.now()}`)];
}

async function measure(target: Target, { events, step_s, ordersForMemory, peer }: ReturnType<typeof readOptions>) {
  const load = { orders: events / (1 + updates_per_order), updatesPerOrder: updates_per_order };
  const steps: readonly [what: string, run: () => Promise<Figure[]>][] = [
    ["events applied", () => measureApply(target, load, peer)],
    [`creates, with ${loadGenerator}`, () => measureCreates(target, step_s)],
    ["create to readable", () => measureReadable(target)],
    ["restore", () => measureRestore(target)],
    ["memory", () => measureMemory(target, ordersForMemory)],
  ];
  const figures: Figure[] = [];
  const failures: string[] = [];
  for (const [what, run] of steps) {
    const started_ms = performance.now();
    try {
      figures.push(...(await run()));
    } catch (e) {
      // The other figures are still worth having.
      failures.push(`${target.name}, ${what}: ${e instanceof Error ? e.message : String(e)}`);
    }
    console.error(`${target.name}: ${what} took ${((performance.now() - started_ms) / 1_000).toFixed(0)} s`);
  }
  return { figures, failures };
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
  const options = readOptions();
  if (options.help) {
    console.log(usage);
    return 0;
  }
  const failures: string[] = [];
  const all: Figure[] = [];
  for (const target of targets()) {
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
