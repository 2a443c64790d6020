import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type Figure, median, runsNote } from "../figures.ts";
import { eventCount } from "../load.ts";
import { allApplied, startMembers } from "../members.ts";
import { type Options, run_ms_max } from "../options.ts";
import type { BenchTopic, Target } from "../target.ts";

const ready_ms_max = 300_000;
const stop_ms_max = 60_000;
/** The pause before a kill, in which a service has nothing to do. */
const idle_ms = 3_000;

interface Start {
  readonly live_s: number;
  readonly ready_s: number;
}

/**
 * How long an order service that has a full topic in its state needs from its start until it is ready, after a clean
 * stop and after SIGKILL; and how fast it rebuilds that state, against the highest rate at which events come in. Each
 * start joins a group of its own: after a kill, the wait for the dead member's session is the broker's and not measured.
 */
export async function measureStart(target: Target, { load, topic: named, turns, liveRates }: Options): Promise<Figure[]> {
  await using topic = await target.fullTopic(load, named);
  const rates: number[] = [];
  const starts: Record<"SIGTERM" | "SIGKILL", Start[]> = { SIGTERM: [], SIGKILL: [] };
  for (let turn = 0; turn < turns; turn++) {
    await rm(join(topic.dataDir, "state"), { recursive: true, force: true });
    {
      await using members = await startMembers(topic, "consumer", 1);
      rates.push((await allApplied(members, eventCount(load), run_ms_max(load))).events_per_s);
      members.programs[0].kill("SIGTERM");
      await members.programs[0].exited(stop_ms_max);
    }
    starts.SIGTERM.push(await startOnce(topic));
    // The one that was just started has ended with SIGKILL.
    starts.SIGKILL.push(await startOnce(topic));
  }
  const live = Math.max(...liveRates);
  const kept = `${load.orders} ${load.shape} orders`;
  return [
    startFigure(target.name, `restart with ${kept} after a clean stop`, starts.SIGTERM),
    startFigure(target.name, `restart with ${kept} after SIGKILL`, starts.SIGKILL),
    {
      log: target.name,
      what: `rebuild of ${kept}`,
      figure: median(rates),
      unit: "events/s",
      ratios: [{ times: median(rates) / live, to: `${live.toLocaleString("en-US")} events/s offered live` }],
      note: runsNote(rates),
    },
  ];
}

/** The service is ended with SIGKILL. */
async function startOnce(topic: BenchTopic): Promise<Start> {
  const started_ms = performance.now();
  await using members = await startMembers(topic, "consumer", 1);
  const [program] = members.programs;
  await program.live(ready_ms_max);
  const live_s = (performance.now() - started_ms) / 1_000;
  await program.ready(ready_ms_max);
  const ready_s = (performance.now() - started_ms) / 1_000;
  await Bun.sleep(idle_ms);
  return { live_s, ready_s };
}

function startFigure(log: string, what: string, starts: readonly Start[]): Figure {
  const all_s = starts.map(({ ready_s }) => ready_s);
  const live_s = median(starts.map((start) => start.live_s));
  return {
    log,
    what: `${what}, to ready`,
    figure: median(all_s),
    unit: "s",
    note: `${runsNote(all_s)}; /health/live answered after ${live_s.toFixed(2)}`,
  };
}
