import { existsSync, readFileSync } from "node:fs";
import { startProgram } from "../support/programs/processes.ts";
import { runBounded } from "../support/programs/tied-process.ts";
import type { Figure } from "./figures.ts";
import type { Target } from "./target.ts";

const ready_ms_max = 120_000;
/** The wait after the last event, in which garbage may be collected. */
const settle_ms = 3_000;

/** The resident memory of each role, alone, after it has read the creates of `orders` orders from an empty state. */
export async function measureMemory(target: Target, orders: number): Promise<Figure[]> {
  await using topic = await target.fullTopic("created", { orders, updatesPerOrder: 0 });
  const figures: Figure[] = [];
  for (const role of ["consumer", "producer"] as const) {
    await using program = await startProgram({ role, dataDir: topic.dataDir, env: topic.settings() });
    await program.ready(ready_ms_max);
    await Bun.sleep(settle_ms);
    const { resident_mib, note } = await memoryOf(program.pid);
    figures.push({ log: target.name, what: `memory of ${role} at ${orders} orders`, figure: resident_mib, unit: "MiB", note });
  }
  return figures;
}

async function memoryOf(pid: number): Promise<{ resident_mib: number; note: string }> {
  const file = `/proc/${pid}/status`;
  if (!existsSync(file)) {
    const { output } = await runBounded(["ps", "-o", "rss=", "-p", String(pid)], 5_000);
    return { resident_mib: Number(output.trim()) / 1_024, note: "" };
  }
  const status = readFileSync(file, "utf8");
  const mib = (name: string) => Number(new RegExp(`^${name}:\\s+([0-9]+) kB`, "m").exec(status)?.[1]) / 1_024;
  return {
    resident_mib: mib("VmRSS"),
    note: `${Math.round(mib("RssAnon"))} of it not file-backed; highest so far ${Math.round(mib("VmHWM"))}`,
  };
}
