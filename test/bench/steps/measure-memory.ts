import { join } from "node:path";
import type { Figure } from "../figures.ts";
import { eventCount, type Load } from "../load.ts";
import { allApplied, residentMemory, startMembers } from "../members.ts";
import { type Options, run_ms_max, withOrders } from "../options.ts";
import { type DiskUse, diskUse } from "../process-cost.ts";
import type { Target } from "../target.ts";

/** The wait after the last event, in which garbage may be collected and files be tidied. */
const settle_ms = 3_000;
const stop_ms_max = 60_000;

/**
 * What an order service needs for orders that it read from an empty state: its memory at the peak and afterwards, and
 * the files of its state, while it runs and after a clean stop.
 */
export async function measureMemory(target: Target, { load, topic, memoryOrders }: Options): Promise<Figure[]> {
  if (topic !== undefined) return measureAt(target, load, topic);
  const figures: Figure[] = [];
  for (const orders of memoryOrders) figures.push(...(await measureAt(target, withOrders(load, orders))));
  return figures;
}

async function measureAt(target: Target, load: Load, named?: string): Promise<Figure[]> {
  await using topic = await target.fullTopic(load, named);
  await using members = await startMembers(topic, "consumer", 1);
  const [program] = members.programs;
  const { peaks_mib } = await allApplied(members, eventCount(load), run_ms_max(load));
  await Bun.sleep(settle_ms);
  const after = await residentMemory(program.pid);
  const stateDir = join(topic.dataDir, "state");
  const running = diskUse(stateDir);
  program.kill("SIGTERM");
  await program.exited(stop_ms_max);
  const stopped = diskUse(stateDir);
  const what = `consumer at ${load.orders} ${load.shape} orders of ${1 + load.updatesPerOrder} events`;
  return [
    {
      log: target.name,
      what: `peak memory of ${what}`,
      figure: peaks_mib[0]!,
      unit: "MiB",
      note: `afterwards ${Math.round(after.mib)}, ${after.note}`,
    },
    diskFigure(target.name, `state of ${what}`, load.orders, running, stopped),
  ];
}

/** The bytes of an order in the files of a program that runs. */
export const diskFigure = (log: string, what: string, orders: number, running: DiskUse, stopped: DiskUse): Figure => ({
  log,
  what: `${what}, by order`,
  figure: running.bytes / orders,
  unit: "bytes",
  note:
    `blocks of the disk ${Math.round(running.block_bytes / orders)}; after a clean stop ` +
    `${Math.round(stopped.bytes / orders)}, blocks ${Math.round(stopped.block_bytes / orders)}`,
});
