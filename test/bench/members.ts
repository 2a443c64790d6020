import { type Program, type Role, startProgram } from "../support/programs/processes.ts";
import { runBounded } from "../support/programs/tied-process.ts";
import { costOf, memoryOf } from "./process-cost.ts";
import type { BenchTopic } from "./target.ts";

/** Processes of one role that work on a topic together. */
export interface Members extends AsyncDisposable {
  readonly programs: readonly [Program, ...Program[]];
  readonly urls: readonly string[];
}

/** A run from an empty state until every event of the topic is applied. */
export interface Applied {
  /** From the first look at which every member had applied something, to the last event. */
  readonly events_per_s: number;
  /** That of all members, from their start on, by the events of the topic. */
  readonly cpu_us_per_event: number;
  /** The same without what the start had cost before the first event. */
  readonly cpu_us_per_event_going: number;
  /** That of each member. */
  readonly peaks_mib: readonly number[];
}

interface PartitionHealth {
  readonly partition: number;
  readonly offset: number;
}

/** What the members hold together. */
interface Progress {
  /** Each partition counts once, also while it moves from one member to another. */
  readonly applied: number;
  readonly areAllGoing: boolean;
}

const poll_ms_min = 20;
const poll_ms_max = 250;
const answer_ms_max = 2_000;
const list_ms_max = 300_000;

/** The members of a group of its own; `settings` says otherwise. */
export async function startMembers(
  topic: BenchTopic,
  role: Exclude<Role, "both">,
  count: number,
  settings = topic.settings(),
): Promise<Members> {
  const programs: Program[] = [];
  const dispose = async () => {
    await Promise.all(programs.map((program) => program[Symbol.asyncDispose]()));
  };
  try {
    // Ports are found one program after another, so that two do not find the same.
    for (let n = 0; n < count; n++) programs.push(await startProgram({ role, dataDir: topic.dataDir, env: settings }));
  } catch (e) {
    await dispose();
    throw e;
  }
  return {
    programs: programs as [Program, ...Program[]],
    urls: programs.map(({ cartUrl, orderUrl }) => (role === "producer" ? cartUrl : orderUrl)),
    [Symbol.asyncDispose]: dispose,
  };
}

/** Waits until `events` are applied; the topic has no others. */
export async function allApplied(members: Members, events: number, wait_ms_max: number): Promise<Applied> {
  const deadline_ms = performance.now() + wait_ms_max;
  let first: { readonly applied: number; readonly at_ms: number; readonly cpu_s: number } | undefined;
  while (true) {
    const { applied, areAllGoing } = await progressOf(members);
    const at_ms = performance.now();
    if (applied >= events && !first) throw new Error("All events were applied between two looks: measure with more events.");
    if (first && applied >= events) {
      const costs = members.programs.map(({ pid }) => costOf(pid));
      const cpu_s = costs.reduce((sum, cost) => sum + cost.cpu_s, 0);
      return {
        events_per_s: ((events - first.applied) / (at_ms - first.at_ms)) * 1_000,
        cpu_us_per_event: (cpu_s / events) * 1_000_000,
        cpu_us_per_event_going: ((cpu_s - first.cpu_s) / (events - first.applied)) * 1_000_000,
        peaks_mib: costs.map(({ peak_mib }) => peak_mib),
      };
    }
    if (areAllGoing) first ??= { applied, at_ms, cpu_s: members.programs.reduce((sum, { pid }) => sum + costOf(pid).cpu_s, 0) };
    if (at_ms > deadline_ms) {
      const said = members.programs.map((program) => program.output()).join("\n");
      throw new Error(`${applied} of ${events} events were applied within ${wait_ms_max} ms. The program said:\n${said}`);
    }
    await Bun.sleep(first ? pauseBefore(events, applied, first, at_ms) : poll_ms_min);
  }
}

/** A look costs the measured program time, so there are few in the middle, and more towards the end. */
function pauseBefore(events: number, applied: number, first: { applied: number; at_ms: number }, at_ms: number): number {
  const events_per_ms = (applied - first.applied) / (at_ms - first.at_ms);
  const left_ms = (events - applied) / events_per_ms;
  return Number.isFinite(left_ms) ? Math.max(poll_ms_min, Math.min(poll_ms_max, left_ms / 3)) : poll_ms_min;
}

/** Waits until `events` are applied, for those who measure nothing meanwhile. */
export async function untilApplied(members: Members, events: number, wait_ms_max: number): Promise<void> {
  const deadline_ms = performance.now() + wait_ms_max;
  while (true) {
    const { applied } = await progressOf(members);
    if (applied >= events) return;
    if (performance.now() > deadline_ms) throw new Error(`${applied} of ${events} events were applied within ${wait_ms_max} ms.`);
    await Bun.sleep(poll_ms_min);
  }
}

async function progressOf({ programs, urls }: Members): Promise<Progress> {
  for (const program of programs)
    if (!isRunning(program.pid)) throw new Error(`The program ended. It said:\n${program.output()}`);
  const held = await Promise.all(urls.map(partitionsOf));
  const offsets = new Map<number, number>();
  for (const { partition, offset } of held.flat()) offsets.set(partition, Math.max(offsets.get(partition) ?? 0, offset));
  return {
    applied: [...offsets.values()].reduce((sum, offset) => sum + offset, 0),
    areAllGoing: held.every((one) => one.some(({ offset }) => offset > 0)),
  };
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** The partitions that a program holds; none until it answers. */
async function partitionsOf(url: string): Promise<readonly PartitionHealth[]> {
  try {
    const response = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(answer_ms_max) });
    return ((await response.json()) as { partitions: PartitionHealth[] }).partitions;
  } catch {
    return [];
  }
}

/** The number of orders that the consumers have together, as one of them lists; counted without keeping the answer. */
export async function orderCount({ urls }: Members, topic: string): Promise<number> {
  const query = new URLSearchParams({ topicName: topic }).toString();
  const response = await fetch(`${urls[0]}/getAllOrderIdsFromTopic?${query}`, { signal: AbortSignal.timeout(list_ms_max) });
  if (!response.ok) throw new Error(`The list of orders was answered ${response.status}: ${await response.text()}`);
  let quotes = 0;
  for await (const chunk of response.body!) for (const byte of chunk) if (byte === quote) quotes++;
  return (quotes - quotes_of_no_orders) / 2;
}

const quote = 0x22;
const quotes_of_no_orders = '{"topicName":"","orderIds":[]}'.split('"').length - 1;

/** The resident memory now, where there is no /proc also; `note` says more where there is. */
export async function residentMemory(pid: number): Promise<{ readonly mib: number; readonly note: string }> {
  if (Number.isNaN(costOf(pid).peak_mib)) {
    const { output } = await runBounded(["ps", "-o", "rss=", "-p", String(pid)], 5_000);
    return { mib: Number(output.trim()) / 1_024, note: "" };
  }
  return { mib: memoryOf(pid, "VmRSS"), note: `${Math.round(memoryOf(pid, "RssAnon"))} of it not file-backed` };
}
