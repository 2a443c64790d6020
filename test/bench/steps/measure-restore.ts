import { rm } from "node:fs/promises";
import { join } from "node:path";
import { appendPaced } from "../companions.ts";
import { type Figure, median, runsNote } from "../figures.ts";
import { type Load, loadPartitions } from "../load.ts";
import { allApplied, startMembers, untilApplied } from "../members.ts";
import type { Options } from "../options.ts";
import { costOf } from "../process-cost.ts";
import type { Target } from "../target.ts";

/** As carts under load send events: far below what a consumer can apply. */
const live_events_per_s = 20_000;
const live_s = 10;
const load: Load = { shape: "hot", orders: (live_events_per_s * live_s) / 4, updatesPerOrder: 3 };
const applied_ms_max = 120_000;

/**
 * The processor time an event costs a young consumer when it is applied as it comes, and when the same topic is read
 * from its start into an empty store. The cost of starting the process is subtracted.
 */
export async function measureRestore(target: Target, { turns }: Options): Promise<Figure[]> {
  const live: number[] = [];
  const restore: number[] = [];
  const rates: number[] = [];
  for (let turn = 0; turn < turns; turn++) {
    await using topic = await target.emptyTopic(`restore${turn}`);
    await topic.log.createTopic(topic.topic, loadPartitions);
    let start_s: number;
    let events: number;
    {
      await using members = await startMembers(topic, "consumer", 1);
      const [consumer] = members.programs;
      await consumer.ready();
      start_s = costOf(consumer.pid).cpu_s;
      const { place } = topic;
      const paced = { place, topic: topic.topic, load, from: 0, events_per_s: live_events_per_s, seconds: live_s };
      events = (await appendPaced(paced)).done;
      await untilApplied(members, events, applied_ms_max);
      live.push(((costOf(consumer.pid).cpu_s - start_s) / events) * 1_000_000);
    }
    await rm(join(topic.dataDir, "state"), { recursive: true, force: true });
    await using members = await startMembers(topic, "consumer", 1);
    const { events_per_s, cpu_us_per_event } = await allApplied(members, events, applied_ms_max);
    rates.push(events_per_s);
    restore.push(cpu_us_per_event - (start_s / events) * 1_000_000);
  }
  const figure = { log: target.name, unit: "µs" };
  const offered = live_events_per_s.toLocaleString("en-US");
  return [
    { ...figure, what: `CPU time per event, live at ${offered}/s`, figure: median(live), note: runsNote(live) },
    {
      ...figure,
      what: "CPU time per event, restored",
      figure: median(restore),
      ratios: [{ times: median(restore) / median(live), to: "live" }],
      note: `${runsNote(restore)}; ${Math.round(median(rates)).toLocaleString("en-US")} events/s`,
    },
  ];
}
