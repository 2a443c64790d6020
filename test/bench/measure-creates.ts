import { fileURLToPath } from "node:url";
import { freePort } from "../support/brokers/ports.ts";
import { startProgram } from "../support/programs/processes.ts";
import { runBounded, spawnTied } from "../support/programs/tied-process.ts";
import { waitUntil } from "../support/wait-until.ts";
import type { Figure } from "./figures.ts";
import { recordCount } from "./load.ts";
import type { Target } from "./target.ts";

const connectionCounts = [8, 64, 256];
const warm_up_s = 2;
/** How much longer than its set time a load generator may take. */
const load_grace_ms = 15_000;

const bareElysia = fileURLToPath(new URL("./bare-elysia.ts", import.meta.url));
const fetchLoad = fileURLToPath(new URL("./fetch-load.ts", import.meta.url));
const createLua = fileURLToPath(new URL("./create.lua", import.meta.url));

export const loadGenerator = Bun.which("wrk") === null ? "fetch in a Bun process" : "wrk";

interface LoadResult {
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
 * half as long.
 */
export async function measureCreates(target: Target, step_s: number): Promise<Figure[]> {
  await using topic = await target.emptyTopic("creates");
  await using producer = await startProgram({ role: "producer", dataDir: topic.dataDir, env: topic.settings() });
  const bare = await startBareElysia();
  let prefix = 100;
  const load = (url: string, connections: number, seconds: number) => runLoad(url, connections, seconds, String(prefix++));
  try {
    await producer.ready();
    let accepted = 0;
    for (const url of [bare.url, producer.cartUrl]) {
      const { requests, not_ok } = await load(url, 64, warm_up_s);
      if (url === producer.cartUrl) accepted += requests - not_ok;
    }
    const figures: Figure[] = [];
    for (const connections of connectionCounts) {
      const before = await load(bare.url, connections, Math.ceil(step_s / 2));
      const ours = await load(producer.cartUrl, connections, step_s);
      const after = await load(bare.url, connections, Math.ceil(step_s / 2));
      accepted += ours.requests - ours.not_ok;
      figures.push(...figuresOf(target.name, connections, ours, [before, after]));
    }
    const appended = await recordCount(topic.log, topic.topic);
    if (appended < accepted) throw new Error(`${accepted} creates were answered 200, but the log has ${appended}.`);
    return figures;
  } finally {
    bare.kill();
    await bare.exited;
  }
}

function figuresOf(log: string, connections: number, ours: LoadResult, bare: readonly LoadResult[]): Figure[] {
  const rate = (result: LoadResult) => (result.requests - result.not_ok) / result.seconds;
  const bareRates = bare.map(rate);
  const bareRate = bareRates.reduce((sum, one) => sum + one, 0) / bareRates.length;
  const at = `${connections} connections`;
  return [
    {
      log,
      what: `creates, ${at}`,
      figure: rate(ours),
      unit: "creates/s",
      ratio: rate(ours) / bareRate,
      ratioTo: "bare Elysia",
      note: `${ours.not_ok} not 200, ${ours.broken} without answer`,
    },
    { log, what: `creates, ${at}, p50`, figure: ours.p50_ms, unit: "ms" },
    { log, what: `creates, ${at}, p99`, figure: ours.p99_ms, unit: "ms" },
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

async function runLoad(url: string, connections: number, seconds: number, prefix: string): Promise<LoadResult> {
  const command =
    loadGenerator === "wrk"
      ? ["wrk", "-t1", `-c${connections}`, `-d${seconds}s`, "--timeout", "10s", "-s", createLua, url, "--", prefix]
      : [process.execPath, fetchLoad, url, String(connections), String(seconds), prefix];
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
