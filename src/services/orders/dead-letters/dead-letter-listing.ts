import { isUtf8 } from "node:buffer";
import { AppError } from "../../../errors.ts";
import type { LogPosition } from "../../../log/log-position.ts";
import type { LogRecord, Timestamp } from "../../../log/port.ts";
import {
  DEAD_LETTER_EXTRA_HEADERS,
  DEAD_LETTER_HEADERS,
  REDRIVE_HEADERS,
  UNDECODABLE_BATCH,
} from "../../../log/record-headers.ts";
import { timeText } from "../../../log/timestamp.ts";
import type { LogScan, Scans } from "../query/log-scan.ts";
import { HeaderTexts, letterReason } from "../history/header-texts.ts";

/** How much of a key or a value is shown. */
const SHOWN_BYTES_MAX = 2_048;
/** How many letters of all partitions are in memory at once. */
const LETTERS_MAX = 4_096;
const WINDOW_RECORDS_MIN = 8;
const WINDOW_RECORDS_MAX = 64;

/**
 * The bytes of a key or a value, as text if they are UTF-8 and otherwise in base64, cut to SHOWN_BYTES_MAX. `bytes` is
 * how many the record has, even if its letter was cut.
 */
export type ShownBytes = { readonly bytes: number; readonly isCut: boolean } & (
  { readonly text: string } | { readonly base64: string }
);

/** A dead letter, at its position in the dead-letter topic. */
export interface DeadLetterShown extends LogPosition {
  /**
   * When the letter was written, according to its producer: RFC 3339, or the timestamp's own digits if it is not such
   * a date.
   */
  readonly time: string;
  readonly reason: string;
  readonly detail: string;
  readonly origin: { readonly topic: string; readonly partition: number | null; readonly offset: number | null };
  readonly key: ShownBytes | null;
  readonly value: ShownBytes | null;
  /** How often the record had been redriven before it became this letter. */
  readonly redrives: number;
  /** The command that writes the record back to where it came from; null if no command can. */
  readonly redrive: string | null;
  /** Sentences that say why no command can; null if one can. */
  readonly noRedrive: string | null;
}

export interface DeadLetterPage {
  readonly letters: readonly DeadLetterShown[];
  /** Partitions of the dead-letter topic that the log does not give now; their letters are on no page. */
  readonly unavailable: readonly { readonly partition: number; readonly reason: string }[];
  /** Where the next page begins; undefined when all partitions were read to their start. */
  readonly next: string | undefined;
}

/** For each partition, the offset from which on every letter has been listed. */
export type DeadLetterCursor = ReadonlyMap<number, number>;

export const parseDeadLetterCursor = (text: string): DeadLetterCursor | undefined => {
  if (!/^[0-9]{1,9}\.[0-9]{1,15}(?:_[0-9]{1,9}\.[0-9]{1,15}){0,999}$/.test(text)) return undefined;
  return new Map(text.split("_").map((pair) => pair.split(".").map(Number) as [number, number]));
};

/**
 * Lists the dead letters of all partitions, the newest first: it reads each partition backwards in windows, and takes
 * the newest of the partitions' last letters. A page may be short or empty and still have a next one: then no more
 * letters that match were found within the bounds on reading. Rejects with LOG_UNAVAILABLE if no partition can be
 * read.
 */
export async function deadLetterPage(
  scans: Scans,
  topic: string,
  deadLetterTopic: string,
  cursor: DeadLetterCursor | undefined,
  reason: string | undefined,
  limit: number,
): Promise<DeadLetterPage> {
  return scans.run(deadLetterTopic, async (scan) => {
    const ends = await scans.ends(deadLetterTopic);
    const unavailable = ends.flatMap((each, partition) => ("unavailable" in each ? { partition, reason: each.unavailable } : []));
    const [first] = unavailable;
    if (first && unavailable.length === ends.length)
      throw new AppError("LOG_UNAVAILABLE", `${deadLetterTopic} cannot be read now: ${first.reason}`);
    const window_records = Math.min(WINDOW_RECORDS_MAX, Math.max(WINDOW_RECORDS_MIN, Math.floor(LETTERS_MAX / ends.length)));
    const wanted = (letter: DeadLetterShown) => reason === undefined || letter.reason === reason;
    const tails = ends.flatMap((each, partition) => {
      if ("unavailable" in each) return [];
      // Letters of a transaction that is still open cannot be seen yet; they are left to a later listing.
      const { startOffset, stableOffset } = each;
      const before = cursor === undefined ? stableOffset : Math.min(stableOffset, cursor.get(partition) ?? 0);
      return new Tail(topic, deadLetterTopic, partition, startOffset, before, window_records, wanted);
    });
    const letters: DeadLetterShown[] = [];
    while (letters.length < limit) {
      for (const tail of tails) while (tail.last === undefined && tail.hasMore && !scan.isOver) await tail.readBack(scan);
      if (tails.some((tail) => tail.last === undefined && tail.hasMore)) break;
      const newest = tails
        .filter(({ last }) => last)
        .toSorted(byNewest)[0]
        ?.take();
      if (!newest) break;
      letters.push(newest.letter);
    }
    const next = tails.flatMap((tail) => (tail.position === undefined ? [] : [`${tail.partition}.${tail.position}`])).join("_");
    return { letters, unavailable, next: next === "" ? undefined : next };
  });
}

/** A letter that was read, and when it was written. */
interface Read {
  readonly letter: DeadLetterShown;
  readonly timestamp_ms: Timestamp;
}

const byNewest = ({ last: a }: Tail, { last: b }: Tail): number =>
  !a || !b || a.timestamp_ms === b.timestamp_ms ? 0 : a.timestamp_ms > b.timestamp_ms ? -1 : 1;

/** One partition of the dead-letter topic, read backwards from its end to its start. */
class Tail {
  /** The letters that were read but not taken yet, in log order. */
  #letters: Read[] = [];

  constructor(
    private readonly topic: string,
    private readonly deadLetterTopic: string,
    readonly partition: number,
    private readonly startOffset: number,
    /** Everything from this offset on was read. */
    private before: number,
    private readonly window_records: number,
    private readonly wanted: (letter: DeadLetterShown) => boolean,
  ) {}

  get last(): Read | undefined {
    return this.#letters.at(-1);
  }

  get hasMore(): boolean {
    return this.before > this.startOffset;
  }

  /** The offset from which a cursor continues; undefined at the start of the partition. */
  get position(): number | undefined {
    if (this.last) return this.last.letter.offset + 1;
    return this.hasMore ? this.before : undefined;
  }

  take(): Read | undefined {
    return this.#letters.pop();
  }

  async readBack(scan: LogScan): Promise<void> {
    const from = Math.max(this.startOffset, this.before - this.window_records);
    const letters: Read[] = [];
    const take = (record: LogRecord): boolean => {
      const letter = showLetter(record, this.partition, this.topic);
      if (this.wanted(letter)) letters.push({ letter, timestamp_ms: record.timestamp_ms });
      return true;
    };
    const to = await scan.read(this.partition, from, this.before, take, true);
    if (to < this.before)
      throw new AppError(
        "LOG_UNAVAILABLE",
        `${this.deadLetterTopic}-${this.partition} gives nothing at offset ${to} now; ask again.`,
      );
    this.#letters = letters;
    this.before = from;
  }
}

function showLetter(record: LogRecord, partition: number, topic: string): DeadLetterShown {
  const headers = new HeaderTexts(record);
  const { offset, timestamp_ms, key, value } = record;
  const originTopic = headers.text(DEAD_LETTER_HEADERS.topic) ?? "";
  const ofTopic = topic === "orders.events" ? "" : ` --topic ${topic}`;
  const cut = headers.text(DEAD_LETTER_EXTRA_HEADERS.cut);
  const noRedrive = whyNotRedriven(headers, topic);
  return {
    partition,
    offset,
    time: timeText(timestamp_ms),
    reason: letterReason(record, headers),
    detail: record.undecodable?.reason ?? headers.text(DEAD_LETTER_HEADERS.detail) ?? "",
    origin: {
      topic: originTopic,
      partition: headers.count(DEAD_LETTER_HEADERS.partition) ?? null,
      offset: headers.count(DEAD_LETTER_HEADERS.offset) ?? null,
    },
    key: shownBytes(key, bytesBefore(cut, "key")),
    value: shownBytes(value, bytesBefore(cut, "value")),
    redrives: headers.count(REDRIVE_HEADERS.count) ?? 0,
    // With `--direct` it works on each log, whether or not Redpanda Connect is installed.
    redrive: noRedrive === null ? `bun run redrive --partition ${partition} --offset ${offset}${ofTopic} --direct --yes` : null,
    noRedrive,
  };
}

/** How many bytes the record's key or value had before the letter was cut; 0 if the letter does not say. */
const bytesBefore = (cut: string | undefined, part: "key" | "value"): number =>
  Number(new RegExp(`(?:^|;)${part}=([0-9]{1,15})(?:;|$)`).exec(cut ?? "")?.[1] ?? 0);

function whyNotRedriven(headers: HeaderTexts, topic: string): string | null {
  if (headers.text(DEAD_LETTER_HEADERS.topic) !== topic)
    return "It does not come from this topic, so no command here redrives it.";
  const partition = headers.text(DEAD_LETTER_HEADERS.partition) ?? "";
  const offset = headers.text(DEAD_LETTER_HEADERS.offset) ?? "";
  const lastOffset = headers.text(DEAD_LETTER_EXTRA_HEADERS.lastOffset);
  if (lastOffset !== undefined && headers.text(DEAD_LETTER_HEADERS.reason) === UNDECODABLE_BATCH)
    return `It stands for a batch of ${topic}, partition ${partition}, offsets ${offset} to ${lastOffset}, that cannot be decoded: there is no record to redrive.`;
  if (lastOffset === undefined && headers.text(DEAD_LETTER_EXTRA_HEADERS.cut) === undefined) return null;
  return `It says that it does not have the whole record, as one that was cut to fit: that is in ${topic} only, partition ${partition}, offset ${offset}. So it is not redriven.`;
}

/** `whole_bytes` is how many bytes there were before the letter was cut. */
export function shownBytes(all: Buffer | null, whole_bytes = 0): ShownBytes | null {
  if (all === null) return null;
  const bytes = Math.max(all.length, whole_bytes);
  const isCut = bytes > Math.min(all.length, SHOWN_BYTES_MAX);
  const first = all.subarray(0, SHOWN_BYTES_MAX);
  // Decoding as a stream leaves out a character that the cut goes through, instead of turning it into another one.
  if (isUtf8(all)) return { bytes, isCut, text: new TextDecoder("utf-8", { ignoreBOM: true }).decode(first, { stream: isCut }) };
  return { bytes, isCut, base64: first.toString("base64") };
}
