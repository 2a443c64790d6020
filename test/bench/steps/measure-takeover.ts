import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Program } from "../../support/programs/processes.ts";
import { standing } from "../../support/programs/standing.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { appendPaced } from "../companions.ts";
import { type Figure, median, runsNote } from "../figures.ts";
import { eventCount, fillTopic, type Load } from "../load.ts";
import { type Members, startMembers, untilApplied } from "../members.ts";
import { type Options, run_ms_max } from "../options.ts";
import { untilSnapshots } from "../snapshots.ts";
import type { BenchTopic, Target } from "../target.ts";

/** What comes in while a standby takes over, and for how long. */
const live_events_per_s = 2_000;
const live_s = 15;
/** The owner is killed when that has come up. */
const live_margin_ms = 3_000;
const session_ms = 6_000;
const stop_ms_max = 60_000;
/** How long after its owner's death the group may take to give the partition away. */
const word_ms_max = 60_000;
/** Longer than any run, for those that are to take no snapshots of their own. */
const never_ms = 604_800_000;
const goal_times = 10;
const goal_ms = 1_000;

/** Times from the group's word to the first strict answer. */
interface Turn {
  readonly nothing_ms: number;
  readonly snapshot_ms: number;
  readonly standby_ms: number;
  /** From the owner's death to the standby's first strict answer, which has the wait for its session. */
  readonly gap_ms: number;
  readonly snapshot_mib: number;
}

/**
 * How long it takes from the group's word, by which an order service owns the one partition of a topic, until it
 * answers a read that demands everything in the log: from nothing, from a snapshot, and as a standby whose owner was
 * ended with SIGKILL while 2,000 events a second come in.
 */
export async function measureTakeover(target: Target, { load, takeoverOrders, turns }: Options): Promise<Figure[]> {
  const { updatesPerOrder } = load;
  const filled: Load = { shape: "hot", orders: takeoverOrders, updatesPerOrder, partitions: 1 };
  const live_orders = Math.ceil((live_events_per_s * live_s * turns) / (1 + updatesPerOrder));
  const all: Load = { ...filled, orders: takeoverOrders + live_orders };
  await using topic = await target.emptyTopic("takeover");
  let appended = eventCount(filled);
  await fillTopic(topic.log, topic.topic, all, { from: 0, to: appended });

  const done: Turn[] = [];
  for (let turn = 0; turn < turns; turn++) {
    const { times, events } = await takeOver(topic, all, appended);
    done.push(times);
    appended += events;
  }
  const { name: log } = target;
  const what = `a partition of ${takeoverOrders.toLocaleString("en-US")} orders, ${eventCount(filled).toLocaleString("en-US")} events`;
  const figureOf = (how: string, key: keyof Turn): Figure & { readonly note: string } => {
    const values = done.map((one) => one[key]);
    const [by, unit] = key === "nothing_ms" || key === "snapshot_ms" ? [1_000, "s"] : [1, "ms"];
    return { log, what: `${what}, ${how}`, figure: median(values) / by, unit, note: runsNote(values.map((value) => value / by)) };
  };
  const nothing = figureOf("taken over from nothing", "nothing_ms");
  const snapshot = figureOf("from a snapshot", "snapshot_ms");
  const standby = figureOf("by a standby", "standby_ms");
  const gap = figureOf("by a standby, from the owner's death", "gap_ms");
  const faster = nothing.figure / snapshot.figure;
  const size = `${median(done.map(({ snapshot_mib }) => snapshot_mib)).toFixed(0)} MiB stored`;
  return [
    nothing,
    {
      ...snapshot,
      ratios: [{ times: snapshot.figure / nothing.figure, to: "from nothing" }],
      note: `${snapshot.note}; ${faster.toFixed(1)} times as fast, goal: ${goal_times}; ${size}`,
    },
    { ...standby, note: `${standby.note}; goal: below ${goal_ms.toLocaleString("en-US")}` },
    { ...gap, note: `${gap.note}; the session is ${session_ms / 1_000} s, on a broker` },
  ];
}

/** Takes the partition over in each of the three ways. Resolves with the events that were appended meanwhile, too. */
async function takeOver(topic: BenchTopic, load: Load, from: number): Promise<{ readonly times: Turn; readonly events: number }> {
  const wait_ms_max = run_ms_max(load);
  const state = join(topic.dataDir, "state");
  const snapshots = join(topic.dataDir, "snapshots");
  const plain = () => ({ ...topic.settings(), LOG_LEVEL: "info", SESSION_TIMEOUT_MS: String(session_ms) });
  const kept = { SNAPSHOT_URL: `file://${snapshots}`, SNAPSHOT_WAIT_MS: String(never_ms) };

  await rm(state, { recursive: true, force: true });
  let nothing_ms: number;
  {
    await using members = await startMembers(topic, "consumer", 1, plain());
    nothing_ms = await untilAnswering(members.programs[0], topic, wait_ms_max);
    members.programs[0].kill("SIGTERM");
    await members.programs[0].exited(stop_ms_max);
  }
  let snapshot_mib: number;
  {
    await rm(snapshots, { recursive: true, force: true });
    await using members = await startMembers(topic, "consumer", 1, { ...plain(), ...kept });
    snapshot_mib = (await untilSnapshots(members.programs[0], wait_ms_max)).mib;
  }

  await rm(state, { recursive: true, force: true });
  const group = { ...plain(), ...kept, STANDBYS: "1" };
  await using owning = await startMembers(topic, "consumer", 1, group);
  const snapshot_ms = await untilAnswering(owning.programs[0], topic, wait_ms_max);
  await using following = await startMembers(topic, "consumer", 1, group);
  await untilFollowed(following, wait_ms_max);
  const live = appendPaced({
    place: topic.place,
    topic: topic.topic,
    load,
    from,
    events_per_s: live_events_per_s,
    seconds: live_s,
  });
  await Bun.sleep(live_margin_ms);
  const killed_ms = Date.now();
  owning.programs[0].kill("SIGKILL");
  const standby_ms = await untilAnswering(following.programs[0], topic, word_ms_max);
  const gap_ms = Date.now() - killed_ms;
  const { done: events } = await live;
  await untilApplied(following, from + events, wait_ms_max);
  return { times: { nothing_ms, snapshot_ms, standby_ms, gap_ms, snapshot_mib }, events };
}

const untilFollowed = ({ programs: [program] }: Members, wait_ms_max: number): Promise<true> =>
  waitUntil(
    "the second order service to follow the partition",
    async () => (await standing(program).catch(() => undefined))?.standbys?.[0]?.state === "running",
    { wait_ms_max },
  );

/**
 * The time from when the program logged that it owns the partition until it answered a read of everything that was in
 * the log when that was asked.
 */
async function untilAnswering(program: Program, topic: BenchTopic, wait_ms_max: number): Promise<number> {
  let told_ms: number | undefined;
  await waitUntil(
    () => `the group's word. The program said:\n${program.output()}`,
    () => (told_ms = toldAt_ms(program)) !== undefined,
    { wait_ms_max, interval_ms: 2 },
  );
  const since_ms = told_ms!;
  for (;;) {
    const [watermarks] = await topic.log.watermarks(topic.topic);
    const headers = { "log-position": `0:${watermarks!.endOffset - 1}` };
    const answer = await fetch(`${program.orderUrl}/order-details?orderId=ORD-0`, { headers }).catch(() => undefined);
    const waited_ms = Date.now() - since_ms;
    if (answer?.status === 200) return waited_ms;
    if (waited_ms > wait_ms_max || (answer !== undefined && answer.status !== 503))
      throw new Error(`After ${waited_ms} ms ${program.orderUrl} answered ${answer?.status}: ${await answer?.text()}`);
    // A look costs the measured program time, so there are fewer the longer it takes.
    await Bun.sleep(Math.max(2, waited_ms / 100));
  }
}

/** When the program was first told that it owns the partition, on the wall clock. */
function toldAt_ms(program: Program): number | undefined {
  const line = program
    .output()
    .split("\n")
    .find((text) => text.includes('"partitions":[0]') && text.includes("partitions assigned"));
  return line === undefined ? undefined : Date.parse((JSON.parse(line) as { readonly time: string }).time);
}
