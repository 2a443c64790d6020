import { createHash } from "node:crypto";
import { formatLogPosition, type LogPosition } from "../../log/log-position.ts";
import type { LogRecord, NewHeader, NewRecord } from "../../log/port.ts";
import { DEAD_LETTER_EXTRA_HEADERS, DEAD_LETTER_HEADERS, PARKED_HEADERS, REDRIVE_HEADERS } from "../../log/record-headers.ts";
import { positionIn } from "../replay/replayed-record.ts";
import { headerText, matches, type Selection } from "../scan/selection.ts";

/** Selects letters. */
export interface LetterSelection extends Selection {
  readonly reasons?: readonly string[] | undefined;
  /** Where the letter itself is, in the dead-letter topic. */
  readonly partition?: number | undefined;
  readonly offset?: number | undefined;
}

/** A dead letter to be redriven, at its position in the dead-letter topic. */
export interface Letter extends LogPosition {
  /**
   * The letter's time. With its position it identifies the letter, even where the topic was deleted and created again.
   */
  readonly timestamp: string;
  /** A digest of the letter's key and value. */
  readonly content: string;
  /** The position in the topic that the letter came from. */
  readonly origin: LogPosition;
  /** Whether the letter was redriven as often as allowed, so that it goes to the parking topic. */
  readonly isParked: boolean;
}

export const matchesLetter = (selection: LetterSelection, record: LogRecord, partition: number): boolean =>
  matches(selection, record) &&
  (selection.partition === undefined || selection.partition === partition) &&
  (selection.offset === undefined || selection.offset === record.offset) &&
  (!selection.reasons || selection.reasons.includes(headerText(record.headers(), DEAD_LETTER_HEADERS.reason) ?? ""));

/** Whether the letter holds its whole record: it was not cut, and is not a batch that cannot be decoded. */
export const isWholeLetter = (record: LogRecord): boolean =>
  !record.headers().some(([name]) => name === DEAD_LETTER_EXTRA_HEADERS.cut || name === DEAD_LETTER_EXTRA_HEADERS.lastOffset);

/** Reads a letter; undefined where it does not say that it came from a partition of the topic. */
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

/** The record that is written for a letter, the same as pipelines/redrive.yaml makes of it. */
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

/** The letter from which a record of the topic or the parking topic was written, if any. `letters` are by position. */
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
  // An earlier version wrote no time: then the letter at that position must have the record's bytes.
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
 * A SHA-256 of all of a record but its position, so that many records can be remembered. The headers' order does not
 * count, since Redpanda Connect keeps none; the time counts only if the record is parked, since a redrive sets it.
 */
export function digestOf(record: LogRecord | NewRecord, isParked: boolean): string {
  const headers = typeof record.headers === "function" ? record.headers() : record.headers;
  const text = (bytes: string | Uint8Array | null) =>
    bytes === null ? null : Buffer.from(bytes as Uint8Array).toString("base64");
  const listed = headers.map(([name, value]) => JSON.stringify([name, text(value)])).toSorted();
  const all = JSON.stringify([text(record.key), text(record.value), isParked ? String(record.timestamp_ms) : null, listed]);
  return createHash("sha256").update(all).digest("base64");
}
