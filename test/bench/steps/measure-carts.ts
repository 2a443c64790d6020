import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { startProgram } from "../../support/programs/processes.ts";
import { tempDir } from "../../support/stores/temp-dir.ts";
import { waitUntil } from "../../support/wait-until.ts";
import type { Figure } from "../figures.ts";
import { recordCount } from "../load.ts";
import type { Options } from "../options.ts";
import { costOf, diskUse } from "../process-cost.ts";
import type { BenchTopic, Target } from "../target.ts";
import { type LoadResult, rateOf, runLoad } from "./measure-creates.ts";

const fleets = [
  { carts: 1, replicas: 2 },
  { carts: 2, replicas: 2 },
  { carts: 3, replicas: 2 },
  { carts: 3, replicas: 1 },
] as const;
const connections = 32;
const settle_ms = 3_000;
const stop_ms_max = 60_000;

/**
 * Creates per second of 1, 2 and 3 carts together, each of which gets as many connections, without and with idempotency
 * keys, and how many bytes of the index each of them keeps for an order. A key is looked for at all carts. The embedded
 * log's carts share nothing, so they are left out.
 */
export async function measureCarts(target: Target, { step_s }: Options): Promise<Figure[]> {
  if (target.name === "embedded") return [];
  const figures: Figure[] = [];
  let alone: Creates | undefined;
  for (const { carts, replicas } of fleets) {
    await using topic = await target.emptyTopic(`carts-${carts}-${replicas}`);
    const { bytes, ...creates } = await createTogether(topic, carts, replicas, step_s);
    alone ??= creates;
    const what = `${carts} cart${carts === 1 ? "" : "s"}, INDEX_REPLICAS=${replicas}`;
    for (const kind of ["plain", "keyed"] as const) {
      const { rate, cpu_us, p50_ms, p99_ms } = creates[kind];
      figures.push({
        log: target.name,
        what: `${kind} creates, ${what}`,
        figure: rate,
        unit: "creates/s",
        ratios: carts === 1 ? [] : [{ times: rate / alone[kind].rate, to: "one" }],
        note: `CPU time of one ${cpu_us.toFixed(0)} µs; p50 ${p50_ms.toFixed(1)}, p99 ${p99_ms.toFixed(1)} ms at the slowest cart`,
      });
    }
    figures.push({
      log: target.name,
      what: `index on disk, ${what}`,
      figure: bytes / carts,
      unit: "bytes an order",
      note: "in each cart, all orders counted",
    });
  }
  return figures;
}

interface Rate {
  readonly rate: number;
  readonly cpu_us: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
}

/** Of all carts together. */
type Creates = Readonly<Record<"plain" | "keyed", Rate>>;

async function createTogether(topic: BenchTopic, count: number, replicas: number, seconds: number) {
  await using secrets = await tempDir();
  const token = join(secrets.path, "peer-token");
  writeFileSync(token, crypto.randomUUID(), { mode: 0o600 });
  const env = {
    ...topic.settings(),
    INDEX_REPLICAS: String(replicas),
    PEER_TOKEN_FILE: token,
    CART_GROUP: `${topic.topic}.carts`,
  };
  await using carts = new AsyncDisposableStack();
  const programs = await Promise.all(Array.from({ length: count }, () => startProgram({ role: "producer", env })));
  for (const program of programs) carts.use(program);
  await Promise.all(programs.map((program) => program.ready()));
  let prefix = 100;
  const loadAll = (s: number, keyed?: "keyed") =>
    Promise.all(programs.map(({ cartUrl }) => runLoad(cartUrl, connections, s, String(prefix++), keyed)));
  const cpu_s = () => programs.reduce((sum, { pid }) => sum + costOf(pid).cpu_s, 0);
  const all: LoadResult[] = [];
  const measured = async (keyed?: "keyed"): Promise<Rate> => {
    const before_s = cpu_s();
    const results = await loadAll(seconds, keyed);
    const cpu_us = ((cpu_s() - before_s) / results.reduce((sum, { requests }) => sum + requests, 0)) * 1_000_000;
    all.push(...results);
    const rate = results.reduce((sum, one) => sum + rateOf(one), 0);
    const slowest = (pick: (result: LoadResult) => number) => Math.max(...results.map(pick));
    return { rate, cpu_us, p50_ms: slowest(({ p50_ms }) => p50_ms), p99_ms: slowest(({ p99_ms }) => p99_ms) };
  };
  all.push(...(await loadAll(2)));
  const partitions = await topic.log.partitionCount(topic.topic);
  const copies = partitions * Math.min(replicas, count);
  await waitUntil("the carts to share the index", async () => (await heldBy(programs)) === copies, { wait_ms_max: 30_000 });
  const plain = await measured();
  const keyed = await measured("keyed");
  const accepted = all.reduce((sum, { requests, not_ok }) => sum + requests - not_ok, 0);
  const orders = await recordCount(topic.log, topic.topic);
  if (orders < accepted) throw new Error(`${accepted} creates were answered 200, but the log has ${orders}.`);
  await Bun.sleep(settle_ms);
  for (const program of programs) program.kill("SIGTERM");
  await Promise.all(programs.map((program) => program.exited(stop_ms_max)));
  const bytes = programs.reduce((sum, { dataDir }) => sum + diskUse(join(dataDir, "state")).bytes, 0) / orders;
  return { plain, keyed, bytes };
}

/** How many partitions' indexes the carts have together. */
async function heldBy(programs: readonly { readonly cartUrl: string }[]): Promise<number> {
  const held = await Promise.all(
    programs.map(async ({ cartUrl }) => {
      const health = (await (await fetch(`${cartUrl}/health/ready`)).json()) as { readonly partitions: readonly unknown[] };
      return health.partitions.length;
    }),
  );
  return held.reduce((sum, partitions) => sum + partitions, 0);
}
