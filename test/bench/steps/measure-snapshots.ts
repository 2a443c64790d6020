import { join } from "node:path";
import { appendPaced } from "../companions.ts";
import { type Figure, median, runsNote } from "../figures.ts";
import { eventCount, fillTopic, type Load, loadPartitions } from "../load.ts";
import { allApplied, type Members, startMembers, untilApplied } from "../members.ts";
import { type Options, run_ms_max } from "../options.ts";
import { costOf, diskUse } from "../process-cost.ts";
import { type SnapshotCounts, snapshotCounts } from "../snapshots.ts";
import type { BenchTopic, Target } from "../target.ts";

/** The events that wait when a run over a backlog begins. */
const backlog_events = 1_000_000;
const live_events_per_s = 20_000;
/** The rest before events come in, in which a start leaves nothing to be done. */
const rest_ms = 3_000;
/** The least there is, so that one snapshot follows the other. */
const wait_ms_min = 1_000;
/** SNAPSHOT_WAIT_MS as it is by default. */
const wait_s_default = 900;
const stop_ms_max = 60_000;
const goal_percent = 3;

interface Run extends SnapshotCounts {
  readonly events_per_s: number;
  readonly cpu_us_per_event: number;
}

interface Pair {
  readonly without: Run[];
  readonly taking: Run[];
}

interface Place {
  readonly topic: BenchTopic;
  readonly load: Load;
  /** The events in the topic. */
  appended: number;
}

const no_snapshots: SnapshotCounts = { taken: 0, mib: 0, seconds: 0 };

/**
 * What snapshots cost an order service that has a full topic in its state: the events per second of a backlog, and the
 * processor time of an event that comes at a rate, each without snapshots and with one after another, which is the most
 * that they can cost. Which of the two is first changes from turn to turn. What is left of that at the default interval
 * is arithmetic: each partition has one of them in each interval then.
 */
export async function measureSnapshots(target: Target, { load, turns, step_s }: Options): Promise<Figure[]> {
  const live_events = live_events_per_s * step_s;
  const added = Math.ceil(((backlog_events + live_events) * 2 * turns) / (1 + load.updatesPerOrder));
  await using topic = await target.emptyTopic("snapshots");
  const place: Place = { topic, load: { ...load, shape: "hot", orders: load.orders + added }, appended: eventCount(load) };
  await fillTopic(topic.log, topic.topic, place.load, { from: 0, to: place.appended });
  {
    await using members = await startMembers(topic, "consumer", 1);
    await untilApplied(members, place.appended, run_ms_max(load));
    await stopped(members);
  }
  const live = await inTurn(turns, (isTaking) => runLive(place, isTaking, step_s));
  const state = stateOf(place);
  const backlog = await inTurn(turns, (isTaking) => runOverBacklog(place, isTaking));
  return [
    ...figuresOf(target.name, `live at ${live_events_per_s.toLocaleString("en-US")}/s on a state`, "cpu_us_per_event", live),
    costFigure(target.name, live, live_events, state),
    ...figuresOf(target.name, `${backlog_events.toLocaleString("en-US")} events on a state`, "events_per_s", backlog),
  ];
}

function stateOf({ topic, load, appended }: Place): string {
  const orders = Math.round(appended / (1 + load.updatesPerOrder)).toLocaleString("en-US");
  return `${orders} orders, ${Math.round(diskUse(join(topic.dataDir, "state")).bytes / 1_048_576)} MiB`;
}

async function inTurn(turns: number, run: (isTaking: boolean) => Promise<Run>): Promise<Pair> {
  const pair: Pair = { without: [], taking: [] };
  for (let turn = 0; turn < turns; turn++)
    for (const isTaking of turn % 2 === 0 ? [false, true] : [true, false])
      (isTaking ? pair.taking : pair.without).push(await run(isTaking));
  return pair;
}

function figuresOf(log: string, what: string, key: "events_per_s" | "cpu_us_per_event", { without, taking }: Pair): Figure[] {
  const unit = key === "events_per_s" ? "events/s" : "µs CPU an event";
  const [plain, other] = [without.map((run) => run[key]), taking.map((run) => run[key])];
  const counts = `${taking.map(({ taken }) => taken).join("; ")} snapshots${eachOf(taking)}`;
  return [
    { log, what: `${what}, no snapshots`, figure: median(plain), unit, note: runsNote(plain) },
    {
      log,
      what: `${what}, one snapshot after another`,
      figure: median(other),
      unit,
      ratios: [{ times: median(other) / median(plain), to: "without" }],
      note: `${runsNote(other)}; ${counts}`,
    },
  ];
}

function eachOf(runs: readonly Run[]): string {
  const sum = (key: keyof SnapshotCounts) => runs.reduce((all, run) => all + run[key], 0);
  if (sum("taken") === 0) return ", since none had ended";
  return `, ${(sum("mib") / sum("taken")).toFixed(1)} MiB and ${((sum("seconds") / sum("taken")) * 1_000).toFixed(0)} ms each`;
}

/** The processor time of snapshots at the default interval: a service that is busy loses as much of its events. */
function costFigure(log: string, { without, taking }: Pair, events: number, state: string): Figure {
  // Sums, since a run has few snapshots, and one that is under way at its end is counted in none.
  const sum = (runs: readonly Run[], key: "cpu_us_per_event" | "taken") => runs.reduce((all, run) => all + run[key], 0);
  const more_s = ((sum(taking, "cpu_us_per_event") - sum(without, "cpu_us_per_event")) * events) / 1_000_000;
  const each_s = more_s / sum(taking, "taken");
  return {
    log,
    what: `cost of ${loadPartitions} such snapshots every ${wait_s_default / 60} minutes, ${state}`,
    figure: (100 * each_s * loadPartitions) / wait_s_default,
    unit: "% of a core",
    note: `goal: below ${goal_percent} of events/s; ${(each_s * 1_000).toFixed(0)} ms CPU each, by the two lines above`,
  };
}

const settingsOf = ({ topic }: Place, isTaking: boolean): Record<string, string> => ({
  ...topic.settings(),
  ...(isTaking ? { SNAPSHOT_URL: `file://${join(topic.dataDir, "snapshots")}`, SNAPSHOT_WAIT_MS: String(wait_ms_min) } : {}),
});

async function runOverBacklog(place: Place, isTaking: boolean): Promise<Run> {
  const { topic, load } = place;
  const to = place.appended + backlog_events;
  await fillTopic(topic.log, topic.topic, load, { from: place.appended, to });
  place.appended = to;
  await using members = await startMembers(topic, "consumer", 1, settingsOf(place, isTaking));
  const { events_per_s, cpu_us_per_event_going } = await allApplied(members, to, run_ms_max(load));
  const counts = isTaking ? await snapshotCounts(members.programs[0]) : no_snapshots;
  await stopped(members);
  return { events_per_s, cpu_us_per_event: cpu_us_per_event_going, ...counts };
}

async function runLive(place: Place, isTaking: boolean, seconds: number): Promise<Run> {
  const { topic, load } = place;
  await using members = await startMembers(topic, "consumer", 1, settingsOf(place, isTaking));
  const [program] = members.programs;
  await untilApplied(members, place.appended, run_ms_max(load));
  await Bun.sleep(rest_ms);
  const before = { ...(isTaking ? await snapshotCounts(program) : no_snapshots), ...costOf(program.pid) };
  const { place: where, topic: name } = topic;
  const paced = { place: where, topic: name, load, from: place.appended, events_per_s: live_events_per_s, seconds };
  const { done, seconds: took_s } = await appendPaced(paced);
  place.appended += done;
  await untilApplied(members, place.appended, run_ms_max(load));
  const { cpu_s } = costOf(program.pid);
  const after = isTaking ? await snapshotCounts(program) : no_snapshots;
  await stopped(members);
  return {
    events_per_s: done / took_s,
    cpu_us_per_event: ((cpu_s - before.cpu_s) / done) * 1_000_000,
    taken: after.taken - before.taken,
    mib: after.mib - before.mib,
    seconds: after.seconds - before.seconds,
  };
}

/** Stops the one order service in good order, so that all that it has applied is saved. */
async function stopped({ programs: [program] }: Members): Promise<void> {
  program.kill("SIGTERM");
  await program.exited(stop_ms_max);
}
