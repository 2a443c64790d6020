import { AppError } from "../../errors.ts";
import { decodeEvent } from "../../orders/events/decode.ts";
import { isPoison, POISON_CODES } from "../../orders/events/poison.ts";
import { DEAD_OUTCOME_CODES } from "../../orders/outcomes.ts";
import { formatLogPosition } from "../../log/log-position.ts";
import { isMadeAnew, type KnownTopic, madeAnew } from "../../log/read/comparing-reader.ts";
import { DEAD_LETTER_HEADERS, UNDECODABLE_BATCH } from "../../log/record-headers.ts";
import type { OperationEnvironment } from "../environment.ts";
import { type Extent, ExtentSoFar } from "../scan/extent.ts";
import {
  digestOf,
  type Letter,
  isWholeLetter,
  letterOf,
  type LetterSelection,
  matchesLetter,
  readLetter,
  redrivenRecord,
} from "./letter.ts";
import { NamesSeen } from "../terminal/names-seen.ts";
import type { Console } from "../terminal/progress.ts";
import { type OffsetRange, scan } from "../scan/scan.ts";
import { headerText } from "../scan/selection.ts";
import { windowsOf } from "../scan/survey.ts";
import { counted, letters as lettersOf, table } from "../terminal/table.ts";
import { objectionsToSize, prepareTarget } from "../scan/target.ts";
import { existingTopic, topicNow } from "../scan/topics.ts";
import { reportUndecodable, type Undecodable, UndecodableSoFar } from "../scan/undecodable.ts";

export interface RedriveOrder {
  readonly topic: string;
  readonly deadLetterTopic: string;
  readonly parkingTopic: string;
  readonly selection: LetterSelection;
  readonly redrives_max: number;
}

/** The most letters in one run; each takes some hundred bytes of memory. */
const LETTERS_MAX = 100_000;
const SHOWN_MAX = 10;
/** The reasons that this version of the program gives. */
const LETTER_REASONS = [...POISON_CODES, ...DEAD_OUTCOME_CODES, UNDECODABLE_BATCH];

/** A letter that is to be redriven, and what of it has arrived. */
interface Planned {
  readonly letter: Letter;
  /** The digest of the record that should arrive. */
  readonly digest: string;
  arrived: number;
  isChanged: boolean;
}

export interface RedrivePlan {
  readonly order: RedriveOrder;
  readonly deadLetters: KnownTopic;
  readonly planned: ReadonlyMap<string, Planned>;
  /** The extent of the letters. */
  readonly extent: Extent;
  /** How many matching letters do not hold their whole record. */
  readonly parts: number;
  /** The batches of the dead-letter topic that cannot be decoded and are left out. */
  readonly undecodable: Undecodable;
  /** The two targets and their ends before the run. */
  readonly starts: readonly Target[];
}

interface Target {
  /** The topic; the parking topic may not exist yet. */
  readonly topic: KnownTopic;
  readonly isParked: boolean;
  readonly firsts: readonly number[];
  readonly ends: readonly number[];
}

/**
 * Finds the letters that match and have not been redriven yet. A letter itself does not tell, and nothing is written
 * down outside the log; but a redriven record names its letter. So the topic is read from the position that the oldest
 * letter came from, and the parking topic from its start. Whatever was run before, each letter is taken once.
 */
export async function planRedrive(
  env: OperationEnvironment,
  console: Console,
  order: RedriveOrder,
  letters_max = LETTERS_MAX,
): Promise<RedrivePlan> {
  const { topic, deadLetterTopic, parkingTopic, selection } = order;
  const partitions = (await existingTopic(env, topic)).marks.length;
  const deadLetters = await existingTopic(env, deadLetterTopic);
  const reasons = new NamesSeen(selection.reasons, LETTER_REASONS);
  const find = (ranges: readonly OffsetRange[]) => findLetters(env, order, deadLetters, partitions, ranges, letters_max, reasons);
  const first = await find(await windowsOf(env, deadLetters, selection));
  reasons.require("reason", deadLetterTopic);
  const starts = await targetsOf(env, order);
  let found = first;
  let done = await forgetDone(env, console, order, starts, found);
  // Earlier runs may already have taken as many letters as one run takes.
  while (found.planned.size === 0 && found.further.length > 0) {
    found = await find(found.further);
    const more = await forgetDone(env, console, order, starts, found);
    done = { redriven: done.redriven + more.redriven, parked: done.parked + more.parked };
  }
  const { planned, extent } = found;
  const { left, parts, undecodable } = first;
  const toPark = [...planned.values()].filter(({ letter }) => letter.isParked).length;
  if (planned.size === 0) console.say(`No letter of ${deadLetterTopic} that matches is to be redriven.`);
  else
    console.say(
      `${lettersOf(planned.size - toPark)} of ${deadLetterTopic} to ${topic}, ${lettersOf(toPark)} to ${parkingTopic}.`,
    );
  if (done.redriven > 0)
    console.say(`Redriven before, each once: ${lettersOf(done.redriven)}. A record that was still poison has a newer letter.`);
  if (done.parked > 0) console.say(`Parked before: ${lettersOf(done.parked)}. ${parkedAdvice(order)}`);
  if (left > 0) console.say(`Left, as they do not say that they come from a partition of ${topic}: ${lettersOf(left)}.`);
  if (parts > 0) console.say(`Left, as they do not have the whole record, which is in ${topic} only: ${lettersOf(parts)}.`);
  if (found.further.length > 0)
    console.say("There are more than these: once these were redriven, the same command again takes the others.");
  reportUndecodable(console, deadLetterTopic, undecodable);
  return { order, deadLetters, planned, extent, parts, undecodable, starts };
}

/** What to do about letters that were given up, since no redrive takes them. */
const parkedAdvice = ({ topic, parkingTopic }: RedriveOrder): string =>
  `No redrive takes what is in ${parkingTopic}. Once its cause is mended, this takes back all of it: bun run replay --topic ${parkingTopic} --target ${topic} --direct --yes`;

/** The first matching letters in some ranges of the dead-letter topic. */
interface FoundLetters {
  readonly planned: Map<string, Planned>;
  /** The lowest offset that letters come from, by the partition that they come from. */
  readonly oldest: ReadonlyMap<number, number>;
  readonly extent: Extent;
  /** How many matching letters do not say where they come from. */
  readonly left: number;
  /** How many matching letters do not hold their whole record. */
  readonly parts: number;
  readonly undecodable: Undecodable;
  /** The ranges that hold further matching letters, each from the first of them on. */
  readonly further: readonly OffsetRange[];
}

async function findLetters(
  env: OperationEnvironment,
  { topic, deadLetterTopic, selection, redrives_max }: RedriveOrder,
  deadLetters: KnownTopic,
  partitions: number,
  ranges: readonly OffsetRange[],
  letters_max: number,
  reasons: NamesSeen,
): Promise<FoundLetters> {
  const planned = new Map<string, Planned>();
  const oldest = new Map<number, number>();
  const cuts = new Map<number, number>();
  let left = 0;
  let parts = 0;
  const extent = new ExtentSoFar();
  const undecodable = new UndecodableSoFar();
  for await (const batches of scan(env, deadLetters, ranges)) {
    for (const { partition, records } of batches) {
      for (const record of records) {
        undecodable.add(record, partition);
        if (reasons.isLooking) reasons.note(headerText(record.headers(), DEAD_LETTER_HEADERS.reason));
        if (!matchesLetter(selection, record, partition)) continue;
        if (!isWholeLetter(record)) {
          parts++;
          continue;
        }
        const letter = readLetter(record, partition, topic, partitions, redrives_max);
        if (!letter) left++;
        else if (planned.size === letters_max) cuts.set(partition, cuts.get(partition) ?? record.offset);
        else {
          // The digest of a redriven record leaves out the time at which it is written, so 0 stands for it.
          const digest = digestOf(redrivenRecord(record, letter, deadLetterTopic, 0), letter.isParked);
          planned.set(formatLogPosition(letter), { letter, digest, arrived: 0, isChanged: false });
          extent.add(record, partition);
          const { origin } = letter;
          oldest.set(origin.partition, Math.min(origin.offset, oldest.get(origin.partition) ?? origin.offset));
        }
      }
    }
  }
  const further = ranges.flatMap((range) => {
    const from = cuts.get(range.partition);
    return from === undefined ? [] : [{ ...range, from }];
  });
  return { planned, oldest, extent, left, parts, undecodable: undecodable.all, further };
}

/** Removes the letters that were redriven or parked before. Resolves with how many those are. */
async function forgetDone(
  env: OperationEnvironment,
  console: Console,
  { deadLetterTopic }: RedriveOrder,
  targets: readonly Target[],
  { planned, oldest }: FoundLetters,
): Promise<{ readonly redriven: number; readonly parked: number }> {
  const done = { redriven: 0, parked: 0 };
  for (const { topic, isParked, firsts, ends } of targets) {
    const ranges = ends.map((to, partition) => {
      const from = isParked ? 0 : (oldest.get(partition) ?? to);
      return { partition, from: Math.min(to, Math.max(firsts[partition] ?? 0, from)), to };
    });
    const progress = console.progress(
      `reading ${topic.name}`,
      ranges.reduce((sum, { from, to }) => sum + to - from, 0),
    );
    let read = 0;
    try {
      for await (const batches of scan(env, topic, ranges)) {
        for (const { records, baseOffset, nextOffset } of batches) {
          for (const record of records) {
            const found = letterOf(record, deadLetterTopic, isParked, planned);
            if (found && planned.delete(formatLogPosition(found.letter))) done[isParked ? "parked" : "redriven"]++;
          }
          read += nextOffset - baseOffset;
        }
        progress.show(read);
      }
    } finally {
      progress.end();
    }
  }
  return done;
}

async function targetsOf(env: OperationEnvironment, { topic, parkingTopic }: RedriveOrder): Promise<Target[]> {
  const target = async (name: string, isParked: boolean) => {
    const now = await topicNow(env, name);
    const firsts = now.marks.map(({ startOffset }) => startOffset);
    return { topic: now, isParked, firsts, ends: now.marks.map(({ endOffset }) => endOffset) };
  };
  return [await target(topic, false), await target(parkingTopic, true)];
}

/**
 * Creates the parking topic, with as many partitions as the dead-letter topic, if any letter is to be parked. Throws
 * OPERATION_REFUSED where a topic would not take the letters.
 */
export async function prepareRedrive(env: OperationEnvironment, console: Console, plan: RedrivePlan): Promise<void> {
  const { order, planned, extent } = plan;
  const topic = await env.log.describe(order.topic);
  const [objection] = topic ? objectionsToSize(topic, extent) : [];
  if (objection !== undefined)
    throw new AppError("OPERATION_REFUSED", `${order.topic} would not take all letters: ${objection}. Alter its settings.`);
  if (![...planned.values()].some(({ letter }) => letter.isParked)) return;
  const partitions = await env.log.partitionCount(order.deadLetterTopic);
  await prepareTarget(env, console, order.parkingTopic, { partitions, extent, source: order.deadLetterTopic });
}

/** Finds what the letters became in the log. It reads through the `Log` port, independently of what moved them. */
export class Redriven {
  count = 0;
  readonly #positions: Map<string, number[]>;

  constructor(
    private readonly env: OperationEnvironment,
    private readonly plan: RedrivePlan,
  ) {
    this.#positions = new Map(plan.starts.map(({ topic, ends }) => [topic.name, [...ends]]));
  }

  /** Reads on to the ends of both topics. Resolves with the number of letters that have arrived. */
  async look(): Promise<number> {
    const { order, planned } = this.plan;
    for (const { topic, isParked, ends } of await targetsOf(this.env, order)) {
      const known = this.plan.starts.find((start) => start.isParked === isParked)?.topic;
      if (known && isMadeAnew(known, topic.topicId)) throw madeAnew(topic.name);
      const positions = this.#positions.get(topic.name) ?? [];
      const ranges = ends.map((to, partition) => ({ partition, from: positions[partition] ?? 0, to }));
      for await (const batches of scan(this.env, topic, ranges)) {
        for (const { partition, records, nextOffset } of batches) {
          for (const record of records) {
            const found = letterOf(record, order.deadLetterTopic, isParked, planned);
            if (!found || found.letter.isParked !== isParked) continue;
            const target = isParked ? found.letter.partition : found.letter.origin.partition;
            if (target !== partition || digestOf(record, isParked) !== found.digest) found.isChanged = true;
            // A repeated event is harmless, since it counts once by its id; repeated poison would become two letters.
            if (found.arrived++ === 0) this.count++;
            else if (isPoison(decodeEvent(record.key, record.value))) found.isChanged = true;
          }
          positions[partition] = nextOffset;
        }
      }
      this.#positions.set(topic.name, positions);
    }
    return this.count;
  }

  missing(): Letter[] {
    return [...this.plan.planned.values()].filter(({ arrived }) => arrived === 0).map(({ letter }) => letter);
  }
}

/** Prints what became of the letters. Returns whether each arrived as it should. */
export function reportRedrive(console: Console, { order, planned }: RedrivePlan): boolean {
  const all = [...planned.values()];
  const partitions = [...new Set(all.map(({ letter }) => letter.partition))].toSorted((a, b) => a - b);
  const rows = partitions.map((partition) => {
    const of = all.filter(({ letter }) => letter.partition === partition);
    const count = (is: (one: Planned) => boolean) => of.filter(is).length;
    return [
      String(partition),
      of.length,
      count(({ letter, arrived }) => arrived > 0 && !letter.isParked),
      count(({ letter, arrived }) => arrived > 0 && letter.isParked),
      count(({ arrived }) => arrived > 1),
      count(({ arrived, isChanged }) => arrived === 0 || isChanged),
    ];
  });
  for (const line of table(["partition", "letters", "redriven", "parked", "repeated", "differences"], rows)) console.say(line);
  const wrong = all.filter(({ arrived, isChanged }) => arrived === 0 || isChanged);
  for (const { letter, arrived } of wrong.slice(0, SHOWN_MAX)) {
    const what = arrived === 0 ? "missing" : arrived === 1 ? "changed" : "changed or repeated";
    console.say(`${what}: ${order.deadLetterTopic} ${formatLogPosition(letter)}`);
  }
  if (wrong.length > SHOWN_MAX) console.say(`… and ${counted(wrong.length - SHOWN_MAX)} more differences.`);
  if (wrong.length > 0) {
    console.say(`${lettersOf(wrong.length)} did not arrive as they should.`);
    return false;
  }
  const parked = all.filter(({ letter }) => letter.isParked).length;
  console.say(`${lettersOf(all.length)} went where ${all.length === 1 ? "it" : "they"} should.`);
  if (parked < all.length)
    console.say(`A record that is still poison comes back to ${order.deadLetterTopic} as a new letter, with its count.`);
  if (parked > 0) console.say(`Redriven as often as allowed, and given up: ${lettersOf(parked)}. ${parkedAdvice(order)}`);
  return true;
}
