import { AppError, isAppError } from "../errors.ts";
import { Backoff } from "../log/backoff.ts";
import type { LogRecord } from "../log/log.ts";
import { decodeEvent, isPoison } from "../orders/event.ts";
import { Arrivals } from "./arrivals.ts";
import { type Arrived, comparePartition, type Expected, type PartitionComparison } from "./comparison.ts";
import type { OperationEnvironment } from "./environment.ts";
import type { Mover } from "./mover.ts";
import type { PlanFile, PlanHead } from "./plan-file.ts";
import type { Console } from "./progress.ts";
import { isReplayed, replayedFrom, replayedRecord } from "./replayed-record.ts";
import { interrupted, type OffsetRange, scan } from "./scan.ts";
import { matches, type Selection } from "./selection.ts";
import { survey, type SurveyedRange, windowsOf } from "./survey.ts";
import { counted, records, table } from "./table.ts";

/** What a replay moves; fixed at its start. */
export interface ReplayPlan extends PlanHead {
  readonly topic: string;
  readonly target: string;
  readonly selection: Selection;
  readonly ranges: readonly SurveyedRange[];
  /** Ends of the target's partitions before the first record went there. */
  readonly targetStarts: readonly number[];
}

export interface ReplayOrder {
  readonly id: string;
  readonly topic: string;
  readonly target: string;
  readonly selection: Selection;
}

/** Tries without a record more in the target, before a replay gives up. */
const ATTEMPTS_MAX = 5;
const COMPARED_AT_ONCE_MAX = 4;
/** Room for the headers beside a record that is as large as its own topic allows. */
const RECORD_BYTES_MAX = 2 * 1024 * 1024;
const DIFFERENCES_SHOWN_MAX = 10;

/** Whether the record is one that the replay moves: never what it wrote itself, as the target may be the source. */
export const isWanted = ({ id, selection }: Pick<ReplayOrder, "id" | "selection">, record: LogRecord): boolean =>
  !isReplayed(record, id) && matches(selection, record);

/** Says what a replay would move, and moves nothing. */
export async function previewReplay(env: OperationEnvironment, console: Console, order: ReplayOrder): Promise<void> {
  const windows = await windowsOfExisting(env, order);
  const { ranges, samples } = await survey(env, console, order.topic, windows, (record) => isWanted(order, record));
  const rows = ranges.map(({ partition, from, to, matching, read }) => [
    String(partition),
    offsets(read),
    matching,
    matching === 0 ? "none" : offsets({ from, to }),
  ]);
  for (const line of table(["partition", "offsets read", "matching", "from the first to the last"], rows)) console.say(line);
  const matching = ranges.reduce((sum, range) => sum + range.matching, 0);
  console.say(`${records(matching)} of ${order.topic} would go to ${order.target}.`);
  for (const line of samples) console.say(`  ${line}`);
}

/** Makes the plan, creates the target where it is missing, and writes the plan down. */
export async function planReplay(
  env: OperationEnvironment,
  console: Console,
  order: ReplayOrder,
  file: PlanFile<ReplayPlan>,
  logId: string,
): Promise<ReplayPlan> {
  const windows = await windowsOfExisting(env, order);
  const { ranges } = await survey(env, console, order.topic, windows, (record) => isWanted(order, record));
  await env.log.createTopic(order.target, windows.length, { record_bytes_max: RECORD_BYTES_MAX });
  const targetStarts = (await env.log.watermarks(order.target)).map(({ endOffset }) => endOffset);
  if (targetStarts.length < windows.length) {
    const message = `${order.target} has ${targetStarts.length} partitions and ${order.topic} has ${windows.length}: give another --target, or add partitions.`;
    throw new AppError("OPERATION_REFUSED", message);
  }
  const plan = { command: "replay", logId, ...order, ranges, targetStarts };
  file.write(plan);
  return plan;
}

async function windowsOfExisting(env: OperationEnvironment, { topic, selection }: ReplayOrder): Promise<OffsetRange[]> {
  if ((await env.log.partitionCount(topic)) === 0) throw new AppError("OPERATION_REFUSED", `There is no topic ${topic}.`);
  return windowsOf(env, topic, selection);
}

/** Moves what the plan says and the target has not got yet. Rejects with the last failure after ATTEMPTS_MAX tries in vain. */
export async function moveAll(env: OperationEnvironment, console: Console, plan: ReplayPlan, mover: Mover): Promise<void> {
  const { clock, random, signal } = env;
  const backoff = new Backoff(env.backoff, random);
  const arrivals = new Arrivals(env, plan.target, plan.id, plan.targetStarts);
  const total = plan.ranges.reduce((sum, { matching }) => sum + matching, 0);
  let best = -1;
  for (let attempts = 0; ;) {
    try {
      await mover.settle();
      const before = await arrivals.look();
      if (before > best) attempts = 0;
      best = Math.max(best, before);
      const left = arrivals.left(plan.ranges);
      if (left.length === 0) return;
      if (before > 0) console.say(`${counted(before)} of ${records(total)} are in ${plan.target} already.`);
      const progress = console.progress(`to ${plan.target}`, total, before);
      let moved = before;
      try {
        await mover.move(left, {
          moved: (n) => progress.show((moved += n)),
          look: async () => {
            progress.show((moved = await arrivals.look()));
            return moved;
          },
        });
      } finally {
        progress.end();
      }
      // What a mover says is not taken for granted: it is looked up, and what is still missing is moved again.
      const after = await arrivals.look();
      if (arrivals.left(plan.ranges).length === 0) return;
      throw new AppError("CONNECT_FAILED", `It ended although ${records(total - after)} had not arrived.`);
    } catch (e) {
      if (signal.aborted) throw interrupted();
      if (!isAppError(e) || !MENDABLE.includes(e.code) || ++attempts >= ATTEMPTS_MAX) throw e;
      console.say(`It is tried again: ${e.message}`);
      await clock.sleep(backoff.next_ms(), signal);
    }
  }
}

const MENDABLE = ["LOG_UNAVAILABLE", "APPEND_OUTCOME_UNKNOWN", "PRODUCER_FENCED", "CONNECT_FAILED"];

/**
 * Compares what arrived with what should have, both read through the `Log` port and neither by what moved them; see
 * src/decisions/0009-the-comparison-reads-the-log.md.
 */
export async function compareReplay(
  env: OperationEnvironment,
  console: Console,
  plan: ReplayPlan,
  headersInOrder: boolean,
): Promise<PartitionComparison[]> {
  const ends = (await env.log.watermarks(plan.target)).map(({ endOffset }) => endOffset);
  const total = plan.ranges.reduce((sum, { matching }) => sum + matching, 0);
  const progress = console.progress("comparing", total);
  let done = 0;
  const compareOne = (partition: number) => {
    const range = plan.ranges[partition];
    const fromOffset = range?.from ?? 0;
    return comparePartition({
      partition,
      fromOffset,
      toOffset: range?.to ?? 0,
      expected: (from) => expectedIn(env, plan, { partition, from, to: range?.to ?? 0 }),
      arrived: arrivedIn(env, plan, { partition, from: plan.targetStarts[partition] ?? 0, to: ends[partition] ?? 0 }, () =>
        progress.show(++done),
      ),
      strictness: { headersInOrder, timestamp: true },
      mayRepeat: countsOnce,
    });
  };
  const results: PartitionComparison[] = [];
  let next = 0;
  const lane = async () => {
    while (next < ends.length) {
      const partition = next++;
      results[partition] = await compareOne(partition);
    }
  };
  try {
    await Promise.all(Array.from({ length: COMPARED_AT_ONCE_MAX }, lane));
  } finally {
    progress.end();
  }
  return results;
}

/** An event counts once by its id, however often it stands in the log. Anything else would be a dead letter once more. */
const countsOnce = ({ key, value }: LogRecord): boolean => !isPoison(decodeEvent(key, value));

async function* expectedIn(env: OperationEnvironment, plan: ReplayPlan, range: OffsetRange): AsyncGenerator<Expected> {
  for await (const batches of scan(env, plan.topic, [range])) {
    for (const record of batches.flatMap((batch) => batch.records)) {
      if (!isWanted(plan, record)) continue;
      yield { offset: record.offset, record: replayedRecord(record, range.partition, plan.topic, plan.id) };
    }
  }
}

async function* arrivedIn(
  env: OperationEnvironment,
  plan: ReplayPlan,
  range: OffsetRange,
  onArrived: () => void,
): AsyncGenerator<Arrived> {
  for await (const batches of scan(env, plan.target, [range])) {
    for (const record of batches.flatMap((batch) => batch.records)) {
      if (!isReplayed(record, plan.id)) continue;
      onArrived();
      yield { record, origin: replayedFrom(record) };
    }
  }
}

/** Tells what was found. True if all that should have arrived did, and nothing else. */
export function reportReplay(console: Console, plan: ReplayPlan, compared: readonly PartitionComparison[]): boolean {
  const planned = (partition: number) => plan.ranges[partition]?.matching ?? 0;
  const rows = compared.map(({ partition, arrived, repeated, differences }) => {
    const range = plan.ranges[partition];
    return [
      String(partition),
      range && range.matching > 0 ? offsets(range) : "none",
      planned(partition),
      arrived,
      repeated,
      differences,
    ];
  });
  for (const line of table(["partition", "offsets", "matching", "arrived", "repeated", "differences"], rows)) console.say(line);
  // What the plan counted is compared too: records may have been deleted from the source since.
  const changed = compared.filter(({ partition, expected }) => expected !== planned(partition));
  for (const { partition, expected } of changed) {
    console.say(
      `Partition ${partition} of ${plan.topic} now has ${counted(expected)} matching, and ${counted(planned(partition))} at the start.`,
    );
  }
  const differences = compared.reduce((sum, each) => sum + each.differences, 0);
  const kept = compared.flatMap((each) => each.kept.map((difference) => ({ partition: each.partition, ...difference })));
  for (const { partition, kind, offset, arrivedAt, detail } of kept.slice(0, DIFFERENCES_SHOWN_MAX)) {
    const from = offset === undefined ? "" : ` ${plan.topic} ${partition}:${offset}`;
    const at = arrivedAt === undefined ? "" : ` at ${plan.target} ${partition}:${arrivedAt}`;
    console.say(`${kind}:${from}${at}: ${detail}`);
  }
  if (differences > DIFFERENCES_SHOWN_MAX) console.say(`… and ${counted(differences - DIFFERENCES_SHOWN_MAX)} more differences.`);
  const repeated = compared.reduce((sum, each) => sum + each.repeated, 0);
  if (repeated > 0)
    console.say(`${records(repeated)} arrived again after an outage; each is an event, which counts once by its id.`);
  const arrived = compared.reduce((sum, each) => sum + each.arrived, 0);
  const isWhole = differences === 0 && changed.length === 0;
  console.say(
    isWhole
      ? `All of ${records(arrived)} of ${plan.topic} arrived in ${plan.target}, unchanged and in order.`
      : `${plan.target} does not hold what it should: ${counted(differences)} differences.`,
  );
  return isWhole;
}

const offsets = ({ from, to }: { from: number; to: number }): string => (from < to ? `${from}–${to - 1}` : "none");
