import type { LogRecord } from "../log/log.ts";
import type { OperationEnvironment } from "./environment.ts";
import type { Console } from "./progress.ts";
import { type OffsetRange, scan } from "./scan.ts";
import { eventType, type Selection } from "./selection.ts";

/** What of one partition is to be moved. */
export interface SurveyedRange extends OffsetRange {
  /** `from` and `to` of what was read; the range itself goes from the first matching record to behind the last one. */
  readonly read: { readonly from: number; readonly to: number };
  readonly matching: number;
}

export interface Survey {
  readonly ranges: readonly SurveyedRange[];
  /** The first matching records, as lines for people. */
  readonly samples: readonly string[];
}

const SAMPLES_MAX = 5;

/**
 * The offsets to read of each partition: from the first record of the window on to the end as of now. The window's end gives no offset,
 * because a later record may be older: timestamps are their producers' own.
 */
export async function windowsOf({ log }: OperationEnvironment, topic: string, { from_ms }: Selection): Promise<OffsetRange[]> {
  const watermarks = await log.watermarks(topic);
  const firsts = from_ms === undefined ? [] : await log.offsetsAt(topic, from_ms);
  return watermarks.map(({ startOffset, endOffset }, partition) => ({
    partition,
    from: Math.min(endOffset, Math.max(startOffset, firsts[partition] ?? startOffset)),
    to: endOffset,
  }));
}

/** Reads the windows and finds what matches. So a range ends with a record, never with a transaction's marker or a gap. */
export async function survey(
  env: OperationEnvironment,
  console: Console,
  topic: string,
  windows: readonly OffsetRange[],
  isWanted: (record: LogRecord, partition: number) => boolean,
): Promise<Survey> {
  const found = new Map(windows.map(({ partition, from }) => [partition, { from, to: from, matching: 0 }]));
  const samples: string[] = [];
  const total = windows.reduce((sum, { from, to }) => sum + to - from, 0);
  const progress = console.progress(`reading ${topic}`, total);
  let done = 0;
  try {
    for await (const batches of scan(env, topic, windows)) {
      for (const { partition, baseOffset, nextOffset, records } of batches) {
        const range = found.get(partition);
        if (!range) continue;
        for (const record of records) {
          if (!isWanted(record, partition)) continue;
          if (range.matching++ === 0) range.from = record.offset;
          range.to = record.offset + 1;
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
  return { ranges, samples };
}

const KEY_CHARS_MAX = 40;

const sample = (record: LogRecord, partition: number): string => {
  const key = record.key === null ? "no key" : JSON.stringify(record.key.toString().slice(0, KEY_CHARS_MAX));
  return `${partition}:${record.offset}  ${new Date(record.timestamp_ms).toISOString()}  ${key}  ${eventType(record) ?? "no event type"}`;
};
