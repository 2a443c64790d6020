import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { startProgram } from "../../support/programs/processes.ts";
import { tempDir } from "../../support/stores/temp-dir.ts";
import { waitUntil } from "../../support/wait-until.ts";
import type { Figure } from "../figures.ts";
import { recordCount } from "../load.ts";
import type { Options } from "../options.ts";
import { diskUse } from "../process-cost.ts";
import type { BenchTopic, Target } from "../target.ts";
import { rateOf, runLoad } from "./measure-creates.ts";

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
 * Creates per second of 1, 2 and 3 carts together, each of which gets as many connections, and how many bytes of the
 * index each of them keeps for an order. The embedded log's carts share nothing, so they are left out.
 */
export async function measureCarts(target: Target, { step_s }: Options): Promise<Figure[]> {
  if (target.name === "embedded") return [];
  const figures: Figure[] = [];
  let alone: number | undefined;
  for (const { carts, replicas } of fleets) {
    await using topic = await target.emptyTopic(`carts-${carts}-${replicas}`);
    const { creates_per_s, bytes } = await createTogether(topic, carts, replicas, step_s);
    alone ??= creates_per_s;
    const what = `${carts} cart${carts === 1 ? "" : "s"}, INDEX_REPLICAS=${replicas}`;
    figures.push(
      {
        log: target.name,
        what: `creates, ${what}`,
        figure: creates_per_s,
        unit: "creates/s",
        ratios: carts === 1 ? [] : [{ times: creates_per_s / alone, to: "one" }],
      },
      {
        log: target.name,
        what: `index on disk, ${what}`,
        figure: bytes / carts,
        unit: "bytes an order",
        note: "in each cart, all orders counted",
      },
    );
  }
  return figures;
}

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
  const loadAll = (s: number) => Promise.all(programs.map(({ cartUrl }) => runLoad(cartUrl, connections, s, String(prefix++))));
  const warm = await loadAll(2);
  const partitions = await topic.log.partitionCount(topic.topic);
  const copies = partitions * Math.min(replicas, count);
  await waitUntil("the carts to share the index", async () => (await heldBy(programs)) === copies, { wait_ms_max: 30_000 });
  const results = await loadAll(seconds);
  const accepted = [...warm, ...results].reduce((sum, { requests, not_ok }) => sum + requests - not_ok, 0);
  const orders = await recordCount(topic.log, topic.topic);
  if (orders < accepted) throw new Error(`${accepted} creates were answered 200, but the log has ${orders}.`);
  await Bun.sleep(settle_ms);
  for (const program of programs) program.kill("SIGTERM");
  await Promise.all(programs.map((program) => program.exited(stop_ms_max)));
  const bytes = programs.reduce((sum, { dataDir }) => sum + diskUse(join(dataDir, "state")).bytes, 0) / orders;
  return { creates_per_s: results.reduce((sum, one) => sum + rateOf(one), 0), bytes };
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
