import { formatLogPosition } from "../../log/log-position.ts";
import type { LogRecord } from "../../log/port.ts";
import { timeText } from "../../log/timestamp.ts";
import type { OperationEnvironment } from "../environment.ts";
import { type Extent, ExtentSoFar } from "./extent.ts";
import type { Console } from "../terminal/progress.ts";
import { type OffsetRange, scan } from "./scan.ts";
import { eventType, type Selection } from "./selection.ts";
import type { TopicNow } from "./topics.ts";
import { type Undecodable, UndecodableSoFar } from "./undecodable.ts";

/** What is to be moved of one partition: the range from its first matching record through its last one. */
export interface SurveyedRange extends OffsetRange {
  /** The offsets that were read to find the matching records. */
  readonly read: { readonly from: number; readonly to: number };
  readonly matching: number;
}

export interface Survey {
  readonly ranges: readonly SurveyedRange[];
  /** The first matching records, as lines for people. */
  readonly samples: readonly string[];
  /** The extent of the matching records. */
  readonly extent: Extent;
  /** The batches in the windows that cannot be decoded, and so cannot be moved. */
  readonly undecodable: Undecodable;
}

const SAMPLES_MAX = 5;

/**
 * The offsets to read of each partition: from the first record in the time window on to the partition's present end.
 * The window's end gives no offset: producers set the timestamps, so a later record may be older.
 */
export async function windowsOf(
  { log }: OperationEnvironment,
  { name, marks }: TopicNow,
  { from_ms }: Selection,
): Promise<OffsetRange[]> {
  const firsts = from_ms === undefined ? [] : await log.offsetsAt(name, from_ms);
  return marks.map(({ startOffset, endOffset }, partition) => ({
    partition,
    from: Math.min(endOffset, Math.max(startOffset, firsts[partition] ?? startOffset)),
    to: endOffset,
  }));
}

/**
 * Reads the windows and finds what matches. Each range found ends with a record, not a transaction's marker or a gap.
 */
export async function survey(
  env: OperationEnvironment,
  console: Console,
  topic: TopicNow,
  windows: readonly OffsetRange[],
  isWanted: (record: LogRecord, partition: number) => boolean,
): Promise<Survey> {
  const found = new Map(windows.map(({ partition, from }) => [partition, { from, to: from, matching: 0 }]));
  const samples: string[] = [];
  const extent = new ExtentSoFar();
  const undecodable = new UndecodableSoFar();
  const total = windows.reduce((sum, { from, to }) => sum + to - from, 0);
  const progress = console.progress(`reading ${topic.name}`, total);
  let done = 0;
  try {
    for await (const batches of scan(env, topic, windows)) {
      for (const { partition, baseOffset, nextOffset, records } of batches) {
        const range = found.get(partition);
        if (!range) continue;
        for (const record of records) {
          undecodable.add(record, partition);
          if (record.undecodable || !isWanted(record, partition)) continue;
          if (range.matching++ === 0) range.from = record.offset;
          range.to = record.offset + 1;
          extent.add(record, partition);
          if (samples.length < SAMPLES_MAX) samples.push(sample(record, partition));
        }
        done += nextOffset - baseOffset;
      }
      progress.show(done);
    }
  } finally {
    progress.end();
  }
  const ranges = windows.map(({ partition, from, to }) => ({
    ...(found.get(partition) ?? { from, to: from, matching: 0 }),
    partition,
    read: { from, to },
  }));
  return { ranges, samples, extent, undecodable: undecodable.all };
}

const KEY_CHARS_MAX = 40;

const sample = (record: LogRecord, partition: number): string => {
  const key = record.key === null ? "no key" : JSON.stringify(record.key.toString().slice(0, KEY_CHARS_MAX));
  return `${formatLogPosition({ partition, offset: record.offset })}  ${timeText(record.timestamp_ms)}  ${key}  ${eventType(record) ?? "no event type"}`;
};
