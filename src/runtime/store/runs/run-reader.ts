import type { ByteFile } from "../byte-file.ts";
import {
  BLOCK_BYTES,
  type BlockBuffer,
  damagedBlock,
  ENTRY_BYTES,
  furtherBlocks,
  HEADER_BYTES,
  KEY_BYTES,
  LONG_FIRST_BYTES,
} from "./blocks.ts";
import type { Run, Segment } from "./run.ts";

/** The key of a reader that is at its run's end: above all keys. */
export const NO_KEY = Infinity;

/**
 * How many neighbouring blocks there are in the file from the segment's n-th block on, at most `count`.
 */
export function neighbours({ blocks }: Segment, n: number, count: number): number {
  const first = blocks[n] as number;
  let found = 1;
  while (found < count && n + found < blocks.length && blocks[n + found] === first + found) found++;
  return found;
}

/** Reads the long record that begins in the segment's n-th block, which is in that place of the buffer. */
export function longRecord(file: ByteFile, segment: Segment, n: number, buffer: BlockBuffer, place: number): Buffer {
  const length = buffer.longBytes(place);
  const record = Buffer.allocUnsafe(length);
  const first = place * BLOCK_BYTES + HEADER_BYTES;
  buffer.bytes.copy(record, 0, first, first + LONG_FIRST_BYTES);
  const further = furtherBlocks(length);
  const block = Buffer.allocUnsafe(BLOCK_BYTES);
  for (let i = 1; i <= further; i++) {
    const number = segment.blocks[n + i] as number;
    const bytes = file.read(block, 0, BLOCK_BYTES, number * BLOCK_BYTES);
    if (bytes < BLOCK_BYTES) throw damagedBlock(number, "The file ends before it.");
    if (Bun.hash.crc32(block) !== segment.checksums[n + i]) throw damagedBlock(number, "Its checksum is another.");
    block.copy(record, LONG_FIRST_BYTES + (i - 1) * BLOCK_BYTES);
  }
  return record;
}

/**
 * Reads a run's records in ascending order of their keys.
 *
 * ```
 *  at a record ──advance──▶ at the next one … ──▶ at the end: its key is NO_KEY
 * ```
 */
export class RunReader {
  /** The key of the record; NO_KEY at the end. */
  key = NO_KEY;
  /** The record. A long one is in `long`, from 0 on; others are in `buffer`, from `start` to `end`. */
  start = 0;
  end = 0;
  long: Buffer | undefined;
  #segment = 0;
  /** The block in its segment, the first of those in the buffer, and the first behind them. */
  #block = 0;
  #first = 0;
  #behind = 0;
  /** The record in its block, the number of those, and where in the buffer the first one's key and end are. */
  #n = 0;
  #count = 0;
  #keys = 0;
  #ends = 0;
  #bytes = 0;

  /** At the first record above the key `after`. */
  constructor(
    private readonly file: ByteFile,
    private readonly run: Run,
    readonly buffer: BlockBuffer,
    after: number,
  ) {
    this.#segment = run.segmentOf(after);
    const segment = run.segments[this.#segment];
    if (segment === undefined) return;
    if (segment.firstKey <= after) this.#block = segment.blockOf(after);
    this.#enter();
    while (this.key <= after) this.advance();
  }

  advance(): void {
    if (++this.#n < this.#count) return this.#look();
    this.#block++;
    this.#enter();
  }

  /** Goes to the first record of the block, or of what follows it. */
  #enter(): void {
    let segment = this.run.segments[this.#segment];
    if (segment !== undefined) this.#block = segment.notFurther(this.#block);
    if (segment !== undefined && this.#block >= segment.blocks.length) {
      segment = this.run.segments[++this.#segment];
      this.#block = 0;
      this.#behind = 0;
    }
    this.long = undefined;
    if (segment === undefined) {
      this.key = NO_KEY;
      return;
    }
    if (this.#block >= this.#behind) this.#read(segment);
    const place = this.#block - this.#first;
    const { buffer } = this;
    buffer.check(place, segment.checksums[this.#block] as number, segment.blocks[this.#block] as number);
    this.#n = 0;
    this.#count = buffer.count(place);
    this.#keys = ((place + 1) * BLOCK_BYTES) / KEY_BYTES - this.#count;
    this.#ends = ((place + 1) * BLOCK_BYTES - ENTRY_BYTES * this.#count) / 2;
    this.#bytes = place * BLOCK_BYTES;
    this.end = this.#bytes + HEADER_BYTES;
    this.#look();
    if (buffer.longBytes(place) > 0) this.long = longRecord(this.file, segment, this.#block, buffer, place);
  }

  #read(segment: Segment): void {
    const count = neighbours(segment, this.#block, this.buffer.capacity);
    this.buffer.read(this.file, segment.blocks[this.#block] as number, count);
    this.#first = this.#block;
    this.#behind = this.#block + count;
  }

  #look(): void {
    this.key = this.buffer.doubles[this.#keys + this.#n] as number;
    this.start = (this.end + 3) & ~3;
    this.end = this.#bytes + (this.buffer.halves[this.#ends + this.#n] as number);
  }
}
