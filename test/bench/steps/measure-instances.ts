import { type Figure, median, runsNote } from "../figures.ts";
import { eventCount } from "../load.ts";
import type { Options } from "../options.ts";
import type { Target } from "../target.ts";
import { applyOnce, type Turn } from "./measure-apply.ts";

const counts = [1, 2, 3] as const;

/**
 * Events per second of a full topic that 1, 2 and 3 order services apply together when they start on an empty state, in
 * turn. They, the log and the bench share the machine's cores, so what they gain ends where those do.
 */
export async function measureInstances(target: Target, { load, topic: named, turns }: Options): Promise<Figure[]> {
  await using topic = await target.fullTopic(load, named);
  const done = counts.map((count) => ({ count, turns: [] as Turn[] }));
  for (let turn = 0; turn < turns; turn++) for (const one of done) one.turns.push(await applyOnce(topic, load, one.count));
  const ratesOf = (all: readonly Turn[]) => all.map(({ events_per_s }) => events_per_s);
  const alone = median(ratesOf(done[0]!.turns));
  return done.map(({ count, turns: all }) => ({
    log: target.name,
    what: `${eventCount(load)} ${load.shape} events, ${count} order service${count === 1 ? "" : "s"}`,
    figure: median(ratesOf(all)),
    unit: "events/s",
    ratios: count === 1 ? [] : [{ times: median(ratesOf(all)) / alone, to: "one" }],
    note: `${runsNote(ratesOf(all))}; CPU ${median(all.map(({ cpu_us_per_event }) => cpu_us_per_event)).toFixed(2)} µs an event`,
  }));
}
