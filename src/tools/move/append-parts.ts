import { AppError, isAppError } from "../../errors.ts";
import { formatLogPosition, type LogPosition } from "../../log/log-position.ts";
import type { NewRecord } from "../../log/port.ts";
import { batchBytes, recordBytes } from "../scan/extent.ts";
import { counted } from "../terminal/table.ts";

/** A record to write, and the position at which it was read. */
export interface Outgoing {
  readonly from: LogPosition;
  readonly record: NewRecord;
}

/** One append stays well below what a broker takes by default (1 MiB), unless a single record is larger. */
const APPEND_BYTES_MAX = 512 * 1024;
const APPEND_RECORDS_MAX = 1_000;

/** Cuts what is to be written into appends of at most so many records and so many encoded bytes. */
export async function* parts(
  all: Iterable<Outgoing> | AsyncIterable<Outgoing>,
  records_max: number,
  bytes_max = Number.POSITIVE_INFINITY,
): AsyncGenerator<Outgoing[]> {
  const mostRecords = Math.min(records_max, APPEND_RECORDS_MAX);
  const mostBytes = Math.min(bytes_max, APPEND_BYTES_MAX);
  let part: Outgoing[] = [];
  let bytes = batchBytes(0);
  for await (const one of all) {
    const size = recordBytes(one.record);
    if (part.length > 0 && (part.length >= mostRecords || bytes + size > mostBytes)) {
      yield part;
      part = [];
      bytes = batchBytes(0);
    }
    part.push(one);
    bytes += size;
  }
  if (part.length > 0) yield part;
}

/**
 * Appends the part. A part that is too large for the target is halved, first half first, until every piece is appended
 * or is a single record: such a record can never be appended, and EVENT_TOO_LARGE names it.
 */
export async function appendPart(
  append: (records: readonly NewRecord[]) => Promise<unknown>,
  target: string,
  part: readonly Outgoing[],
): Promise<void> {
  try {
    await append(part.map(({ record }) => record));
  } catch (e) {
    const [first] = part;
    if (!first || !isAppError(e, "EVENT_TOO_LARGE")) throw e;
    if (part.length === 1) throw tooLarge(target, first, e);
    const half = Math.ceil(part.length / 2);
    await appendPart(append, target, part.slice(0, half));
    await appendPart(append, target, part.slice(half));
  }
}

function tooLarge(target: string, { from, record }: Outgoing, cause: AppError): AppError {
  const bytes = batchBytes(recordBytes(record));
  const message = `The record at ${formatLogPosition(from)} takes up to ${counted(bytes)} bytes, more than ${target} takes: raise its max.message.bytes, or give another --target.`;
  return new AppError("EVENT_TOO_LARGE", message, {}, cause);
}
