import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type Figure, median, type Ratio, runsNote } from "../figures.ts";
import { eventCount, type Load } from "../load.ts";
import { allApplied, orderCount, startMembers } from "../members.ts";
import { type Options, run_ms_max } from "../options.ts";
import { type Peer, runPeer } from "../peer.ts";
import type { BenchTopic, Target } from "../target.ts";

/** What one turn of a program gave. */
export interface Turn {
  readonly events_per_s: number;
  readonly cpu_us_per_event: number;
  readonly cpu_us_per_event_going?: number;
  /** Of the largest process. */
  readonly peak_mib: number;
  /** The events that were done; a peer may end before all are. */
  readonly done: number;
}

interface Runner {
  readonly name: string;
  readonly isPeer: boolean;
  readonly run: () => Promise<Turn>;
  readonly turns: Turn[];
}

/**
 * Events per second of a full topic that consumers apply when they start on an empty state, with what that costs; each
 * turn runs ours with one number of processes after the other, then the peers.
 */
export async function measureApply(
  target: Target,
  { load, topic: named, processes, peers, turns }: Options,
  onFailure: (message: string) => void,
): Promise<Figure[]> {
  await using topic = await target.fullTopic(load, named);
  const ours = target.brokers === undefined ? [1] : processes;
  const runners: Runner[] = [
    ...ours.map((count) => ({
      name: `consumer${count === 1 ? " alone" : `s, ${count} processes`}`,
      isPeer: false,
      run: () => applyOnce(topic, load, count),
      turns: [],
    })),
    ...(target.brokers === undefined ? [] : peers).map((peer) => ({
      name: peer.name,
      isPeer: true,
      run: () => peerOnce(peer, target.brokers!, topic, load),
      turns: [],
    })),
  ];
  for (let turn = 0; turn < turns; turn++) {
    for (const runner of runners) {
      try {
        runner.turns.push(await runner.run());
      } catch (e) {
        // The others are still worth having, and their turns were dear.
        onFailure(`${runner.name}: ${e instanceof Error ? e.message : String(e)}`);
      }
    }
  }
  const done = runners.filter((runner) => runner.turns.length > 0);
  return done.flatMap((runner) => figuresOf(target.name, load, runner, runner.isPeer ? [] : done.filter((one) => one.isPeer)));
}

function figuresOf(log: string, load: Load, { name, turns }: Runner, peers: readonly Runner[]): Figure[] {
  const what = `${eventCount(load)} ${load.shape} events, ${name}`;
  const valuesOf = (all: readonly Turn[], figure: keyof Turn) => all.map((turn) => turn[figure] ?? Number.NaN);
  const ratios = (figure: keyof Turn): Ratio[] => {
    const value = median(valuesOf(turns, figure));
    return peers.map((peer) => ({ times: value / median(valuesOf(peer.turns, figure)), to: peer.name }));
  };
  const rates = valuesOf(turns, "events_per_s");
  const costs = valuesOf(turns, "cpu_us_per_event");
  const going = median(valuesOf(turns, "cpu_us_per_event_going"));
  const peaks = valuesOf(turns, "peak_mib");
  const done = Math.min(...valuesOf(turns, "done"));
  const early = done < eventCount(load) ? `; a run ended after ${done} events, and its figures are of those` : "";
  const withoutStart = Number.isNaN(going) ? "" : `; without the start ${going.toFixed(2)}`;
  return [
    { log, what, figure: median(rates), unit: "events/s", ratios: ratios("events_per_s"), note: `${runsNote(rates)}${early}` },
    {
      log,
      what: `${what}: CPU time per event`,
      figure: median(costs),
      unit: "µs",
      ratios: ratios("cpu_us_per_event"),
      note: `${runsNote(costs)}${withoutStart}`,
    },
    {
      log,
      what: `${what}: peak memory of a process`,
      figure: median(peaks),
      unit: "MiB",
      ratios: ratios("peak_mib"),
      note: runsNote(peaks),
    },
  ];
}

/** One run of so many consumers from an empty state. */
export async function applyOnce(topic: BenchTopic, load: Load, count: number): Promise<Turn> {
  await rm(join(topic.dataDir, "state"), { recursive: true, force: true });
  await using members = await startMembers(topic, "consumer", count);
  const { events_per_s, cpu_us_per_event, cpu_us_per_event_going, peaks_mib } = await allApplied(
    members,
    eventCount(load),
    run_ms_max(load),
  );
  const orders = await orderCount(members, topic.topic);
  if (orders !== load.orders) throw new Error(`The consumers have ${orders} of ${load.orders} orders.`);
  return { events_per_s, cpu_us_per_event, cpu_us_per_event_going, peak_mib: Math.max(...peaks_mib), done: eventCount(load) };
}

async function peerOnce(peer: Peer, brokers: string, topic: BenchTopic, load: Load): Promise<Turn> {
  const events = eventCount(load);
  const partitions = String(await topic.log.partitionCount(topic.topic));
  const job = { brokers, topic: topic.topic, events: String(events), partitions };
  const { events_per_s, events: done = events, cost } = await runPeer(peer, job, run_ms_max(load));
  return { events_per_s, cpu_us_per_event: (cost.cpu_s / done) * 1_000_000, peak_mib: cost.peak_mib, done };
}
