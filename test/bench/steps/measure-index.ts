import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type Figure, median, runsNote } from "../figures.ts";
import { eventCount, type Load } from "../load.ts";
import { allApplied, type Applied, residentMemory, startMembers } from "../members.ts";
import { loadOfShape, type Options, run_ms_max } from "../options.ts";
import { type DiskUse, diskUse } from "../process-cost.ts";
import type { BenchTopic, Target } from "../target.ts";
import { diskFigure } from "./measure-memory.ts";

const settle_ms = 3_000;
const stop_ms_max = 60_000;

/** What one turn gave. */
interface Turn extends Applied {
  readonly after_mib: number;
  readonly running: DiskUse;
  readonly stopped: DiskUse;
}

/** The cart's index of order ids: how fast a cart reads a full topic into it, and what it takes. */
export async function measureIndex(target: Target, options: Options): Promise<Figure[]> {
  const { load, topic: named, memoryOrders, updates, turns } = options;
  if (named !== undefined) return [...(await measureLoad(target, load, turns, named)).figures];
  const figures: Figure[] = [];
  for (const orders of memoryOrders) {
    const hot = await measureLoad(target, loadOfShape("hot", orders, updates), turns);
    const cold = await measureLoad(target, loadOfShape("cold", orders, updates), turns);
    const [rate, ...others] = cold.figures;
    figures.push(...hot.figures, { ...rate, ratios: [{ times: cold.events_per_s / hot.events_per_s, to: "hot" }] }, ...others);
  }
  return figures;
}

interface Measured {
  readonly events_per_s: number;
  /** The rate first. */
  readonly figures: readonly [Figure, ...Figure[]];
}

async function measureLoad(target: Target, load: Load, turns: number, named?: string): Promise<Measured> {
  await using topic = await target.fullTopic(load, named);
  const all: Turn[] = [];
  for (let turn = 0; turn < turns; turn++) all.push(await indexOnce(topic, load));
  return { events_per_s: median(all.map(({ events_per_s }) => events_per_s)), figures: figuresOf(target.name, load, all) };
}

async function indexOnce(topic: BenchTopic, load: Load): Promise<Turn> {
  const stateDir = join(topic.dataDir, "state");
  await rm(stateDir, { recursive: true, force: true });
  await using members = await startMembers(topic, "producer", 1);
  const [program] = members.programs;
  const applied = await allApplied(members, eventCount(load), run_ms_max(load));
  await Bun.sleep(settle_ms);
  const { mib } = await residentMemory(program.pid);
  const running = diskUse(stateDir);
  program.kill("SIGTERM");
  await program.exited(stop_ms_max);
  return { ...applied, after_mib: mib, running, stopped: diskUse(stateDir) };
}

function figuresOf(log: string, load: Load, turns: readonly Turn[]): [Figure, ...Figure[]] {
  const what = `cart's index, ${load.orders} ${load.shape} orders of ${1 + load.updatesPerOrder} events`;
  const rates = turns.map(({ events_per_s }) => events_per_s);
  const costs = turns.map(({ cpu_us_per_event }) => cpu_us_per_event);
  const peaks = turns.map(({ peaks_mib }) => peaks_mib[0]!);
  const { running, stopped } = turns.at(-1)!;
  const afterwards = Math.round(median(turns.map(({ after_mib }) => after_mib)));
  return [
    { log, what, figure: median(rates), unit: "events/s", note: runsNote(rates) },
    { log, what: `${what}: CPU time per event`, figure: median(costs), unit: "µs", note: runsNote(costs) },
    {
      log,
      what: `${what}: peak memory`,
      figure: median(peaks),
      unit: "MiB",
      note: `${runsNote(peaks)}; afterwards ${afterwards}`,
    },
    diskFigure(log, what, load.orders, running, stopped),
  ];
}
