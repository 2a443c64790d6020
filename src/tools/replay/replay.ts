import type { LogRecord } from "../../log/port.ts";
import { decodeEvent } from "../../orders/events/decode.ts";
import { EVENT_TYPES } from "../../orders/events/kinds.ts";
import { isPoison } from "../../orders/events/poison.ts";
import type { KnownTopic } from "../../log/read/comparing-reader.ts";
import { Arrivals } from "../move/arrivals.ts";
import { type Arrived, comparePartition, type Expected, type PartitionComparison } from "../compare/comparison.ts";
import { offsetsOf, reportComparison } from "../compare/comparison-report.ts";
import type { OperationEnvironment } from "../environment.ts";
import { moveAll } from "../move/move-all.ts";
import type { Mover } from "../move/mover.ts";
import { NamesSeen } from "../terminal/names-seen.ts";
import type { PlanFile, PlanHead } from "../files/plan-file.ts";
import type { Console } from "../terminal/progress.ts";
import { replayedFrom, replayedRecord } from "./replayed-record.ts";
import { type OffsetRange, scan } from "../scan/scan.ts";
import { eventType, matches, type Selection } from "../scan/selection.ts";
import { type Survey, survey, type SurveyedRange, windowsOf } from "../scan/survey.ts";
import { records, table } from "../terminal/table.ts";
import { prepareTarget } from "../scan/target.ts";
import { existingTopic, sameTopic, type TopicNow } from "../scan/topics.ts";
import { reportUndecodable, type Undecodable } from "../scan/undecodable.ts";

/** What a replay moves, fixed at its start. */
export interface ReplayPlan extends PlanHead {
  readonly topic: string;
  /**
   * The topic's id and the target's, where the log has ids: a topic that was deleted and created again has a new one.
   */
  readonly topicId?: string | undefined;
  readonly target: string;
  readonly targetId?: string | undefined;
  readonly selection: Selection;
  /** The batches of the topic that cannot be decoded; undefined in plans of versions that did not look for them. */
  readonly undecodable?: Undecodable;
  /** Whether this program moves the records. Connect keeps no order of headers, so one run cannot use both. */
  readonly isDirect: boolean;
  readonly ranges: readonly SurveyedRange[];
  /** The ends of the target's partitions before the first record was written. */
  readonly targetStarts: readonly number[];
}

export interface ReplayOrder {
  readonly id: string;
  readonly topic: string;
  readonly target: string;
  readonly selection: Selection;
}

const COMPARED_AT_ONCE_MAX = 4;

/** Whether the replay moves the record. It never moves what it wrote itself, since the target may be the source. */
export const isWanted = ({ id, selection }: Pick<ReplayOrder, "id" | "selection">, record: LogRecord): boolean =>
  matches(selection, record) && !replayedFrom(record, id);

/** Prints what a replay would move, and moves nothing. */
export async function previewReplay(env: OperationEnvironment, console: Console, order: ReplayOrder): Promise<void> {
  const { ranges, samples, undecodable } = await surveyOf(env, console, order, await existingTopic(env, order.topic));
  const rows = ranges.map(({ partition, from, to, matching, read }) => [
    String(partition),
    offsetsOf(read),
    matching,
    offsetsOf({ from, to }),
  ]);
  for (const line of table(["partition", "offsets read", "matching", "from the first to the last"], rows)) console.say(line);
  const matching = ranges.reduce((sum, range) => sum + range.matching, 0);
  console.say(`${records(matching)} of ${order.topic} would go to ${order.target}.`);
  for (const line of samples) console.say(`  ${line}`);
  reportUndecodable(console, order.topic, undecodable);
}

/**
 * Surveys the source, creates the target where it is missing, and writes the plan to its file. `requireMovable` throws
 * where the mover could not move what was found.
 */
export async function planReplay(
  env: OperationEnvironment,
  console: Console,
  order: ReplayOrder & { readonly isDirect: boolean },
  file: PlanFile<ReplayPlan>,
  logId: string,
  requireMovable: (survey: Survey) => void,
): Promise<ReplayPlan> {
  const { topic: source, target: name } = order;
  const topic = await existingTopic(env, source);
  const surveyed = await surveyOf(env, console, order, topic);
  requireMovable(surveyed);
  const { ranges, undecodable, extent } = surveyed;
  const target = await prepareTarget(env, console, name, { partitions: ranges.length, extent, source });
  const targetStarts = target.marks.map(({ endOffset }) => endOffset);
  const ids = { topicId: topic.topicId, targetId: target.topicId };
  const plan = { command: "replay", logId, ...order, ...ids, ranges, undecodable, targetStarts };
  file.write(plan);
  return plan;
}

/** Surveys the source. Throws OPTION_INVALID where --types names a type that is unknown and that no record has. */
async function surveyOf(env: OperationEnvironment, console: Console, order: ReplayOrder, topic: TopicNow): Promise<Survey> {
  const types = new NamesSeen(order.selection.types, EVENT_TYPES);
  const surveyed = await survey(env, console, topic, await windowsOf(env, topic, order.selection), (record) => {
    if (types.isLooking) types.note(eventType(record));
    return isWanted(order, record);
  });
  types.require("types", topic.name);
  return surveyed;
}

export const sourceOf = ({ topic, topicId }: ReplayPlan): KnownTopic => ({ name: topic, topicId });
const targetOf = ({ target, targetId }: ReplayPlan): KnownTopic => ({ name: target, topicId: targetId });

/** Moves the planned records that the target does not have yet. */
export async function moveReplay(env: OperationEnvironment, console: Console, plan: ReplayPlan, mover: Mover): Promise<void> {
  const arrivals = new Arrivals(env, targetOf(plan), plan.id, plan.targetStarts);
  const left = () => arrivals.left(plan.ranges);
  await moveAll(env, console, {
    target: plan.target,
    total: matchingIn(plan),
    look: () => arrivals.look(),
    isWhole: () => left().length === 0,
    settle: async () => {
      await sameTopic(env, sourceOf(plan), plan.ranges);
      await mover.settle();
    },
    move: (progress) => mover.move(left(), progress),
  });
}

const matchingIn = ({ ranges }: Pick<ReplayPlan, "ranges">): number => ranges.reduce((sum, { matching }) => sum + matching, 0);

/**
 * Compares what arrived with what should have. Both are read through the `Log` port, independently of the mover; see
 * docs/decisions/0009-the-comparison-reads-the-log.md.
 */
export async function compareReplay(
  env: OperationEnvironment,
  console: Console,
  plan: ReplayPlan,
  headersInOrder: boolean,
): Promise<PartitionComparison[]> {
  const ends = (await sameTopic(env, targetOf(plan))).marks.map(({ endOffset }) => endOffset);
  const progress = console.progress("comparing", matchingIn(plan));
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
  // The comparison holds only if neither topic was deleted and created again while it was read.
  await sameTopic(env, sourceOf(plan), plan.ranges);
  await sameTopic(env, targetOf(plan));
  return results;
}

/**
 * An event counts once by its id, however often it is in the log. Any other record would become a dead letter again.
 */
const countsOnce = ({ key, value }: LogRecord): boolean => !isPoison(decodeEvent(key, value));

async function* expectedIn(env: OperationEnvironment, plan: ReplayPlan, range: OffsetRange): AsyncGenerator<Expected> {
  for await (const batches of scan(env, sourceOf(plan), [range])) {
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
  for await (const batches of scan(env, targetOf(plan), [range])) {
    for (const record of batches.flatMap((batch) => batch.records)) {
      const from = replayedFrom(record, plan.id);
      if (!from) continue;
      onArrived();
      yield { record, origin: from.origin };
    }
  }
}

/** Prints the comparison. Returns whether exactly the expected records arrived and nothing else had to be left out. */
export function reportReplay(
  console: Console,
  plan: ReplayPlan,
  compared: readonly PartitionComparison[],
  skipsUndecodable: boolean,
): boolean {
  const { topic: source, target, undecodable } = plan;
  const planned = plan.ranges.map((range) => ({ ...range, offsets: offsetsOf(range) }));
  const isWhole = reportComparison(console, compared, { planned, source, target });
  const repeated = compared.reduce((sum, each) => sum + each.repeated, 0);
  if (repeated > 0)
    console.say(`${records(repeated)} arrived again after an outage; each is an event, which counts once by its id.`);
  if (isWhole) console.say(`All of ${records(matchingIn(plan))} of ${source} arrived in ${target}, unchanged and in order.`);
  if (undecodable) reportUndecodable(console, source, undecodable);
  return isWhole && (skipsUndecodable || (undecodable?.batches ?? 0) === 0);
}
