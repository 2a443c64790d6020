import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type LiveWaits, probeLive } from "../companions.ts";
import { type Figure, median, runsNote } from "../figures.ts";
import { eventCount, type Load } from "../load.ts";
import { allApplied, type Applied, startMembers } from "../members.ts";
import { type Options, run_ms_max } from "../options.ts";
import type { BenchTopic, Target } from "../target.ts";

type Turn = Applied & LiveWaits;

/**
 * Events per second of cold topics of growing size, each from an empty state, and how long /health/live waits for its
 * answer meanwhile, which is what a pause of the program would show in.
 */
export async function measureGrowth(target: Target, { growthOrders, turns }: Options): Promise<Figure[]> {
  const figures: Figure[] = [];
  let smallest: number | undefined;
  for (const orders of growthOrders) {
    const load: Load = { shape: "cold", orders, updatesPerOrder: 1 };
    await using topic = await target.fullTopic(load);
    const all: Turn[] = [];
    for (let turn = 0; turn < turns; turn++) all.push(await growOnce(topic, load));
    const rates = all.map(({ events_per_s }) => events_per_s);
    smallest ??= median(rates);
    const what = `${orders} cold orders of 2 events`;
    const ratios = [{ times: median(rates) / smallest, to: `that at ${growthOrders[0]} orders` }];
    const peaks = all.map(({ peaks_mib }) => peaks_mib[0]!);
    figures.push(
      { log: target.name, what, figure: median(rates), unit: "events/s", ratios, note: runsNote(rates) },
      waitFigure(target.name, what, all),
      { log: target.name, what: `${what}: peak memory`, figure: median(peaks), unit: "MiB", note: runsNote(peaks) },
    );
  }
  return figures;
}

async function growOnce(topic: BenchTopic, load: Load): Promise<Turn> {
  await rm(join(topic.dataDir, "state"), { recursive: true, force: true });
  await using members = await startMembers(topic, "consumer", 1);
  await members.programs[0].live();
  const probe = probeLive(members.urls[0]!);
  try {
    const applied = await allApplied(members, eventCount(load), run_ms_max(load));
    return { ...applied, ...(await probe.end()) };
  } catch (e) {
    await probe.end();
    throw e;
  }
}

/** The longest of all turns, since a median would hide a pause. */
function waitFigure(log: string, what: string, turns: readonly Turn[]): Figure {
  const worst = turns.reduce((one, other) => (other.longest_ms > one.longest_ms ? other : one));
  const probes = turns.reduce((sum, turn) => sum + turn.probes, 0);
  const broken = turns.reduce((sum, turn) => sum + turn.broken, 0);
  return {
    log,
    what: `${what}: longest wait of /health/live`,
    figure: worst.longest_ms,
    unit: "ms",
    note: `of ${probes} probes, ${broken} not 200; the prober's own timer was at most ${worst.late_ms.toFixed(0)} ms late`,
  };
}
