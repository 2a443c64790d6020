import { createHash } from "node:crypto";
import { formatLogPosition, type LogPosition } from "../../log/log-position.ts";
import type { LogRecord, NewHeader, NewRecord } from "../../log/port.ts";
import { DEAD_LETTER_EXTRA_HEADERS, DEAD_LETTER_HEADERS, PARKED_HEADERS, REDRIVE_HEADERS } from "../../log/record-headers.ts";
import { positionIn } from "../replay/replayed-record.ts";
import { headerText, matches, type Selection } from "../scan/selection.ts";

/** Which letters are meant. */
export interface LetterSelection extends Selection {
  readonly reasons?: readonly string[] | undefined;
  /** Of the letter itself, in the dead-letter topic. */
  readonly partition?: number | undefined;
  readonly offset?: number | undefined;
}

/** A dead letter to be redriven, by where it stands in the dead-letter topic. */
export interface Letter extends LogPosition {
  /** Its time: with its place it names this letter alone, also where the topic was made anew. */
  readonly timestamp: string;
  /** A digest of its key and value. */
  readonly content: string;
  /** Where it came from in the topic. */
  readonly origin: LogPosition;
  /** Redriven as often as allowed: it goes to the parking topic. */
  readonly isParked: boolean;
}

export const matchesLetter = (selection: LetterSelection, record: LogRecord, partition: number): boolean =>
  matches(selection, record) &&
  (selection.partition === undefined || selection.partition === partition) &&
  (selection.offset === undefined || selection.offset === record.offset) &&
  (!selection.reasons || selection.reasons.includes(headerText(record.headers(), DEAD_LETTER_HEADERS.reason) ?? ""));

/** Whether the letter has the record that it is about: not where that was cut, or is a batch that cannot be decoded. */
export const isWholeLetter = (record: LogRecord): boolean =>
  !record.headers().some(([name]) => name === DEAD_LETTER_EXTRA_HEADERS.cut || name === DEAD_LETTER_EXTRA_HEADERS.lastOffset);

/** Undefined where the letter does not say that it came from a partition which the topic has. */
export function readLetter(
  record: LogRecord,
  partition: number,
  topic: string,
  partitions: number,
  redrives_max: number,
): Letter | undefined {
  const headers = record.headers();
  const origin = positionIn(headers, DEAD_LETTER_HEADERS.partition, DEAD_LETTER_HEADERS.offset);
  if (!origin || origin.partition >= partitions || headerText(headers, DEAD_LETTER_HEADERS.topic) !== topic) return undefined;
  const isParked = redrivesOf(record) >= redrives_max;
  return {
    partition,
    offset: record.offset,
    timestamp: String(record.timestamp_ms),
    content: contentOf(record),
    origin,
    isParked,
  };
}

function redrivesOf(record: LogRecord): number {
  const count = headerText(record.headers(), REDRIVE_HEADERS.count) ?? "";
  return /^[0-9]{1,9}$/.test(count) ? Number(count) : 0;
}

/** What becomes of a letter, the same as pipelines/redrive.yaml makes of it. */
export function redrivenRecord(record: LogRecord, letter: Letter, deadLetterTopic: string, wall_ms: number): NewRecord {
  const { key, value } = record;
  const at = (names: Omit<typeof REDRIVE_HEADERS, "count"> | typeof PARKED_HEADERS): NewHeader[] => [
    [names.topic, deadLetterTopic],
    [names.partition, String(letter.partition)],
    [names.offset, String(letter.offset)],
    [names.timestamp, letter.timestamp],
  ];
  const without = (...names: readonly string[]) => record.headers().filter(([name]) => !names.includes(name));
  if (letter.isParked) {
    const headers = [...without(...Object.values(PARKED_HEADERS)), ...at(PARKED_HEADERS)];
    return { partition: letter.partition, key, value, timestamp_ms: record.timestamp_ms, headers };
  }
  const headers: NewHeader[] = [
    ...without(...Object.values(DEAD_LETTER_HEADERS), ...Object.values(REDRIVE_HEADERS)),
    [REDRIVE_HEADERS.count, String(redrivesOf(record) + 1)],
    ...at(REDRIVE_HEADERS),
  ];
  return { partition: letter.origin.partition, key, value, timestamp_ms: wall_ms, headers };
}
/** Which of the letters, by their places, a record of the topic, or of the parking topic, was made of; undefined where of none. */
export function letterOf<Found extends { readonly letter: Letter }>(
  record: LogRecord,
  deadLetterTopic: string,
  isParked: boolean,
  letters: ReadonlyMap<string, Found>,
): Found | undefined {
  const names = isParked ? PARKED_HEADERS : REDRIVE_HEADERS;
  const headers = record.headers();
  if (headerText(headers, names.topic) !== deadLetterTopic) return undefined;
  const origin = positionIn(headers, names.partition, names.offset);
  const found = origin && letters.get(formatLogPosition(origin));
  if (!found) return undefined;
  const { timestamp, content } = found.letter;
  const named = headerText(headers, names.timestamp);
  // An earlier version gave no time: it is then the letter of that place that has the record's bytes.
  const isOfIt = named === undefined ? contentOf(record) === content : named === timestamp;
  return isOfIt ? found : undefined;
}

const contentOf = ({ key, value }: LogRecord): string => {
  const hash = createHash("sha256").update(`${key?.length ?? "null"} ${value?.length ?? "null"} `);
  return hash
    .update(key ?? "")
    .update(value ?? "")
    .digest("base64");
};

/**
 * Tells two records apart by all but where they stand, in 32 bytes, so that many can be remembered. Headers in any order, as Redpanda
 * Connect keeps none; a parked one's time too, while a redriven one's is when it was written.
 */
export function digestOf(record: LogRecord | NewRecord, isParked: boolean): string {
  const headers = typeof record.headers === "function" ? record.headers() : record.headers;
  const text = (bytes: string | Uint8Array | null) =>
    bytes === null ? null : Buffer.from(bytes as Uint8Array).toString("base64");
  const listed = headers.map(([name, value]) => JSON.stringify([name, text(value)])).toSorted();
  const all = JSON.stringify([text(record.key), text(record.value), isParked ? String(record.timestamp_ms) : null, listed]);
  return createHash("sha256").update(all).digest("base64");
}
