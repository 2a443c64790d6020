import { fileURLToPath } from "node:url";
import { freePort } from "../../support/brokers/ports.ts";
import { startProgram } from "../../support/programs/processes.ts";
import { runBounded, spawnTied } from "../../support/programs/tied-process.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { type Figure, percentile, type Ratio } from "../figures.ts";
import { eventCount, type Load, recordCount, recordsIn } from "../load.ts";
import type { Options } from "../options.ts";
import { costOf } from "../process-cost.ts";
import type { Target } from "../target.ts";

const connectionCounts = [1, 8, 64, 256];
/** At so few connections a create is compared with one bare produce. With more than one, creates wait for each other. */
const few_connections_max = 8;
const warm_up_s = 2;
/** The creates that are produced one by one. */
const produced: Load = { shape: "hot", orders: 1_000, updatesPerOrder: 0 };
const produced_warm_up = 200;
/** How much longer than its set time a load generator may take. */
const load_grace_ms = 15_000;

const bareElysia = fileURLToPath(new URL("../children/bare-elysia.ts", import.meta.url));
const fetchLoad = fileURLToPath(new URL("../children/fetch-load.ts", import.meta.url));
const createLua = fileURLToPath(new URL("../children/create.lua", import.meta.url));

export const loadGenerator = Bun.which("wrk") === null ? "fetch in a Bun process" : "wrk";

export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  /** Answers that were not 200 (wrk: 400 and above). */
  readonly not_ok: number;
  /** Requests without an answer. */
  readonly broken: number;
}

/**
 * Creates per second at the producer alone. Before and after each step, a bare Elysia route gets the same load for
 * half as long; a predecessor gets it for as long, after ours.
 */
export async function measureCreates(target: Target, { step_s, predecessor }: Options): Promise<Figure[]> {
  await using topic = await target.emptyTopic("creates");
  await using producer = await startProgram({ role: "producer", dataDir: topic.dataDir, env: topic.settings() });
  const bare = await startBareElysia();
  // The predecessor may have orders of earlier runs.
  let prefix = predecessor === undefined ? 100 : 10_000 + (Math.floor(Date.now() / 1_000) % 80_000);
  const load = (url: string, connections: number, seconds: number) => runLoad(url, connections, seconds, String(prefix++));
  try {
    await producer.ready();
    let accepted = 0;
    for (const url of [bare.url, producer.cartUrl]) {
      const { requests, not_ok } = await load(url, 64, warm_up_s);
      if (url === producer.cartUrl) accepted += requests - not_ok;
    }
    const partitions = await topic.log.partitionCount(topic.topic);
    const figures: Figure[] = [];
    for (const connections of connectionCounts) {
      const before = await load(bare.url, connections, Math.ceil(step_s / 2));
      const produce_ms = connections <= few_connections_max ? await producedOneByOne(target, partitions) : undefined;
      const cpu_s = costOf(producer.pid).cpu_s;
      const ours = await load(producer.cartUrl, connections, step_s);
      const cpu_us = ((costOf(producer.pid).cpu_s - cpu_s) / ours.requests) * 1_000_000;
      const theirs = predecessor === undefined ? undefined : await load(predecessor, connections, step_s);
      const after = await load(bare.url, connections, Math.ceil(step_s / 2));
      accepted += ours.requests - ours.not_ok;
      figures.push(...figuresOf(target.name, { connections, ours, cpu_us, theirs, bare: [before, after], produce_ms }));
    }
    const appended = await recordCount(topic.log, topic.topic);
    if (appended < accepted) throw new Error(`${accepted} creates were answered 200, but the log has ${appended}.`);
    const peak = costOf(producer.pid).peak_mib;
    return [...figures, { log: target.name, what: "peak memory of the cart in these steps", figure: peak, unit: "MiB" }];
  } finally {
    bare.kill();
    await bare.exited;
  }
}

interface Step {
  readonly connections: number;
  readonly ours: LoadResult;
  readonly cpu_us: number;
  readonly theirs: LoadResult | undefined;
  readonly bare: readonly LoadResult[];
  readonly produce_ms: readonly number[] | undefined;
}

export const rateOf = (result: LoadResult) => (result.requests - result.not_ok) / result.seconds;

function figuresOf(log: string, { connections, ours, cpu_us, theirs, bare, produce_ms }: Step): Figure[] {
  const bareRates = bare.map(rateOf);
  const bareRate = bareRates.reduce((sum, one) => sum + one, 0) / bareRates.length;
  const at = `${connections} connection${connections === 1 ? "" : "s"}`;
  const ratios: Ratio[] = [{ times: rateOf(ours) / bareRate, to: "bare Elysia" }];
  if (theirs) ratios.push({ times: rateOf(ours) / rateOf(theirs), to: "the predecessor" });
  const answers = ({ not_ok, broken }: LoadResult) => `${not_ok} not 200, ${broken} without answer`;
  return [
    { log, what: `creates, ${at}`, figure: rateOf(ours), unit: "creates/s", ratios, note: answers(ours) },
    { log, what: `creates, ${at}, CPU time of one`, figure: cpu_us, unit: "µs" },
    { log, what: `creates, ${at}, p50`, figure: ours.p50_ms, unit: "ms" },
    { log, what: `creates, ${at}, p99`, figure: ours.p99_ms, unit: "ms" },
    ...(produce_ms === undefined ? [] : produceFigures(log, at, ours.p50_ms, produce_ms)),
    ...(theirs === undefined
      ? []
      : [{ log, what: `the predecessor, ${at}`, figure: rateOf(theirs), unit: "creates/s", note: answers(theirs) }]),
    {
      log,
      what: `bare Elysia, ${at}`,
      figure: bareRate,
      unit: "answers/s",
      // Where the two differ much, something else was using the machine, and the ratio says little.
      note: `before and after: ${bareRates.map(Math.round).join(", ")}`,
    },
  ];
}

function produceFigures(log: string, at: string, p50_ms: number, produce_ms: readonly number[]): Figure[] {
  const produce = percentile(produce_ms, 50);
  const p99 = percentile(produce_ms, 99);
  return [
    {
      log,
      what: `one bare produce, acks=all, p50, before ${at}`,
      figure: produce,
      unit: "ms",
      note: `p99 ${p99.toPrecision(3)}`,
    },
    { log, what: `a create's p50 beyond it, ${at}`, figure: p50_ms - produce, unit: "ms" },
  ];
}

/** How long the log's own producer needs for one create after another, on a topic of its own with as many partitions. */
async function producedOneByOne(target: Target, partitions: number): Promise<readonly number[]> {
  await using topic = await target.emptyTopic("produce");
  await topic.log.createTopic(topic.topic, partitions);
  const producer = topic.log.producer();
  const all_ms: number[] = [];
  try {
    for (const record of recordsIn(produced, { from: 0, to: eventCount(produced) })) {
      const started_ms = performance.now();
      await producer.append(topic.topic, [{ ...record, partition: record.partition % partitions }]);
      all_ms.push(performance.now() - started_ms);
    }
  } finally {
    await producer.close();
  }
  return all_ms.slice(produced_warm_up);
}

/** Each create has an idempotency key of its own if they are `keyed`. */
export async function runLoad(
  url: string,
  connections: number,
  seconds: number,
  prefix: string,
  keyed?: "keyed",
): Promise<LoadResult> {
  const given = keyed === undefined ? [prefix] : [prefix, keyed];
  const command =
    loadGenerator === "wrk"
      ? ["wrk", "-t1", `-c${connections}`, `-d${seconds}s`, "--timeout", "10s", "-s", createLua, url, "--", ...given]
      : [process.execPath, fetchLoad, url, String(connections), String(seconds), ...given];
  const { ok, output } = await runBounded(command, seconds * 1_000 + load_grace_ms);
  const line = output.split("\n").find((text) => text.startsWith("{"));
  if (!ok || line === undefined) throw new Error(`The load generator failed: ${command.join(" ")}\n${output}`);
  return JSON.parse(line) as LoadResult;
}

async function startBareElysia(): Promise<{ url: string; kill(): void; exited: Promise<unknown> }> {
  const port = await freePort();
  const tied = spawnTied([process.execPath, bareElysia, String(port)]);
  const url = `http://127.0.0.1:${port}`;
  const answers = () =>
    fetch(url).then(
      () => true,
      () => false,
    );
  await waitUntil(() => `for the bare Elysia route. It said:\n${tied.output()}`, answers);
  return { url, kill: () => tied.kill("SIGKILL"), exited: tied.exited };
}
