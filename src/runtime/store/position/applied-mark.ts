import { recordEndingAt } from "../../../log/batch-records.ts";
import type { Batch } from "../../../log/port.ts";
import type { ByteFile } from "../byte-file.ts";
import { isSameRecord, type LastRecord } from "./last-record.ts";

/** Where a partition had come when something was applied, and the last record of that. */
export interface Mark {
  readonly nextOffset: number;
  /** Undefined if there was none. */
  readonly last: LastRecord | undefined;
  /** Whether the store was restored from a snapshot and has not come to the log's end since. */
  readonly isRestored: boolean;
}

/** Each partition of a store has its own place, so that a write never touches another's. */
const PLACE_BYTES = 64;
const MARK_BYTES = 40;
const NONE = -1;

/**
 * Where each partition of a store has come, written with every batch that is applied. It is not state: the rows follow
 * a second behind it. A process that was killed in that second knows by it which record it had answered from, so that
 * a log that lost that record is noticed (I7). It is not synced; after a power cut it says less, or nothing.
 */
export class AppliedMark {
  readonly #bytes = Buffer.alloc(MARK_BYTES);

  constructor(
    private readonly file: ByteFile,
    private readonly partition: number,
  ) {}

  /** Undefined if there is none, or it is not whole. */
  read(): Mark | undefined {
    const bytes = this.#bytes;
    if (this.file.read(bytes, 0, MARK_BYTES, this.partition * PLACE_BYTES) < MARK_BYTES) return undefined;
    if (bytes.readUInt32LE(MARK_BYTES - 4) !== checksumOf(bytes)) return undefined;
    const [nextOffset, offset, epoch] = [bytes.readDoubleLE(0), bytes.readDoubleLE(8), bytes.readInt32LE(20)];
    const last = { offset, checksum: bytes.readUInt32LE(16), leaderEpoch: epoch === NONE ? undefined : epoch };
    return { nextOffset, last: offset === NONE ? undefined : last, isRestored: bytes.readUInt8(24) === 1 };
  }

  /** Throws if the file does. */
  write({ nextOffset, last, isRestored }: Mark): void {
    const bytes = this.#bytes;
    bytes.writeDoubleLE(nextOffset, 0);
    bytes.writeDoubleLE(last?.offset ?? NONE, 8);
    bytes.writeUInt32LE(last?.checksum ?? 0, 16);
    bytes.writeInt32LE(last?.leaderEpoch ?? NONE, 20);
    bytes.writeUInt8(isRestored ? 1 : 0, 24);
    bytes.writeUInt32LE(checksumOf(bytes), MARK_BYTES - 4);
    this.file.write(bytes, 0, MARK_BYTES, this.partition * PLACE_BYTES);
  }
}

/** The offset of the last record of the mark, if the batch comes to it and has another one there, or none. */
export function lostOffset(mark: Pick<Mark, "last"> | undefined, batch: Batch): number | undefined {
  const last = mark?.last;
  if (last === undefined || batch.baseOffset > last.offset || batch.nextOffset <= last.offset) return undefined;
  const record = recordEndingAt(batch, last.offset);
  return record !== undefined && isSameRecord(last, record) ? undefined : last.offset;
}

const checksumOf = (bytes: Buffer): number => Bun.hash.crc32(bytes.subarray(0, MARK_BYTES - 4));
