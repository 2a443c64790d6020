import type { ByteFile } from "../byte-file.ts";
import type { BlockSpace } from "./block-space.ts";
import {
  BLOCK_BYTES,
  BLOCK_RECORDS_MAX,
  BlockBuffer,
  ENTRY_BYTES,
  furtherBlocks,
  HEADER_BYTES,
  KEY_BYTES,
  LONG_FIRST_BYTES,
} from "./blocks.ts";
import { filterBytes, filterOf } from "./key-filter.ts";
import { Segment } from "./run.ts";

/** A segment ends with the block in which it reaches this many records, or blocks (1 MiB). */
const SEGMENT_RECORDS = 16_384;
const SEGMENT_BLOCKS = 256;
/** Blocks written by one call: with 64 of them, a block costs a fifth of what it costs alone. */
const WRITTEN_BLOCKS = 64;

const RECORD_BYTES_MAX = 2 << 20;
const BLOCKS_MAX = SEGMENT_BLOCKS + furtherBlocks(RECORD_BYTES_MAX);

/** The memory of a writer, 0.5 MB; it is of use to one writer after the other. */
export class WriterMemory {
  readonly buffer = new BlockBuffer(WRITTEN_BLOCKS);
  /** Those of the block that is being filled. */
  readonly blockKeys = new Float64Array(BLOCK_RECORDS_MAX);
  readonly blockEnds = new Uint16Array(BLOCK_RECORDS_MAX);
  /** Those of the segment that is being filled. */
  readonly keys = new Float64Array(SEGMENT_RECORDS + BLOCK_RECORDS_MAX);
  readonly fences = new Float64Array(BLOCKS_MAX);
  readonly blocks = new Uint32Array(BLOCKS_MAX);
  readonly checksums = new Uint32Array(BLOCKS_MAX);
}

/** Where a writer puts what it makes. */
export interface WriterTarget {
  readonly file: ByteFile;
  readonly space: BlockSpace;
  /** Gives the number of the next segment. */
  readonly nextSegment: () => number;
  /** Every block that was taken, so that it can be given back. */
  readonly taken: number[];
}

/**
 * Writes a run, or more of one, in segments.
 *
 * ```
 *  filling a block ──▶ filling a segment ──▶ finished: `segments` has them all
 *    └─ a write fails: nothing of it is used
 * ```
 */
export class RunWriter {
  readonly segments: Segment[] = [];
  /** Of the block that is being filled: its place in the buffer, and how far it is full. */
  #place = 0;
  #count = 0;
  #end = HEADER_BYTES;
  /** The first place of the buffer that is not written. */
  #unwritten = 0;
  #segmentRecords = 0;
  #segmentBlocks = 0;
  #filters_bytes = 0;
  #lastNumber = -1;
  #records = 0;

  constructor(
    private readonly target: WriterTarget,
    private readonly memory: WriterMemory,
    /** How many bytes the filters of its segments may take; what is beyond has none. */
    private readonly filters_bytes_max: number,
  ) {}

  /** The number of records added. */
  get records(): number {
    return this.#records + this.#segmentRecords;
  }

  /** Appends a record whose key is above all before. */
  add(key: number, bytes: Buffer, from: number, to: number): void {
    const length = to - from;
    if (length > LONG_FIRST_BYTES) return this.#addLong(key, bytes, from, to);
    const start = this.#startOf(length);
    bytes.copy(this.memory.buffer.bytes, this.#place * BLOCK_BYTES + start, from, to);
    this.#put(key, start + length);
  }

  /** Does the same for a record that fits into a block and begins at a multiple of 4 in the other buffer. */
  addWords(key: number, from: BlockBuffer, start: number, end: number): void {
    const at = this.#startOf(end - start);
    const { words } = this.memory.buffer;
    const source = from.words;
    const to = (end + 3) >>> 2;
    let target = (this.#place * BLOCK_BYTES + at) >>> 2;
    for (let word = start >>> 2; word < to; word++) words[target++] = source[word] as number;
    this.#put(key, at + end - start);
  }

  /** Ends the segment and writes everything. */
  finish(): void {
    this.#finishBlock();
    this.#finishSegment();
    this.#write();
  }

  /** Where in its block the next record begins, which takes so many bytes; finishes a block that has no room for it. */
  #startOf(length: number): number {
    const start = (this.#end + 3) & ~3;
    if (start + length <= BLOCK_BYTES - ENTRY_BYTES * (this.#count + 1)) return start;
    this.#finishBlock();
    return HEADER_BYTES;
  }

  #put(key: number, end: number): void {
    const { blockKeys, blockEnds, keys } = this.memory;
    blockKeys[this.#count] = key;
    blockEnds[this.#count++] = end;
    keys[this.#segmentRecords++] = key;
    this.#end = end;
  }

  #addLong(key: number, bytes: Buffer, from: number, to: number): void {
    if (to - from > RECORD_BYTES_MAX) throw new RangeError(`A record has ${to - from} bytes, more than ${RECORD_BYTES_MAX}`);
    this.#finishBlock();
    const { buffer } = this.memory;
    let at = from + LONG_FIRST_BYTES;
    bytes.copy(buffer.bytes, this.#place * BLOCK_BYTES + HEADER_BYTES, from, at);
    this.#put(key, HEADER_BYTES + LONG_FIRST_BYTES);
    this.#finishEntries(to - from);
    this.#endBlock(key);
    for (; at < to; at += BLOCK_BYTES) {
      bytes.copy(buffer.bytes, this.#place * BLOCK_BYTES, at, Math.min(at + BLOCK_BYTES, to));
      this.#endBlock(key);
    }
    this.#finishSegmentIfFull();
  }

  #finishBlock(): void {
    if (this.#count === 0) return;
    this.#finishEntries(0);
    this.#endBlock(this.memory.blockKeys[0] as number);
    this.#finishSegmentIfFull();
  }

  /** Completes the block with its header, ends and keys. */
  #finishEntries(long_bytes: number): void {
    const { buffer, blockKeys, blockEnds } = this.memory;
    const { words, halves, doubles } = buffer;
    const count = this.#count;
    const header = (this.#place * BLOCK_BYTES) / 4;
    words[header] = count;
    words[header + 1] = long_bytes;
    const behind = (this.#place + 1) * BLOCK_BYTES;
    const ends = (behind - ENTRY_BYTES * count) / 2;
    const keys = behind / KEY_BYTES - count;
    for (let n = 0; n < count; n++) {
      halves[ends + n] = blockEnds[n] as number;
      doubles[keys + n] = blockKeys[n] as number;
    }
    this.#count = 0;
    this.#end = HEADER_BYTES;
  }

  /** Gives the block its number in the file. */
  #endBlock(fence: number): void {
    const { buffer, fences, blocks, checksums } = this.memory;
    const number = this.target.space.take();
    this.target.taken.push(number);
    const n = this.#segmentBlocks++;
    fences[n] = fence;
    checksums[n] = buffer.checksum(this.#place);
    const isNeighbour = this.#place === this.#unwritten || number === this.#lastNumber + 1;
    if (!isNeighbour) this.#write();
    blocks[n] = number;
    this.#lastNumber = number;
    this.#place++;
    if (this.#place === buffer.capacity) {
      this.#write();
      this.#place = 0;
      this.#unwritten = 0;
    }
  }

  /** Writes the blocks that are full, which are neighbours in the file. */
  #write(): void {
    const count = this.#place - this.#unwritten;
    if (count === 0) return;
    const first = this.#lastNumber - count + 1;
    const from = this.#unwritten * BLOCK_BYTES;
    this.target.file.write(this.memory.buffer.bytes, from, count * BLOCK_BYTES, first * BLOCK_BYTES);
    this.#unwritten = this.#place;
  }

  #finishSegmentIfFull(): void {
    if (this.#segmentBlocks >= SEGMENT_BLOCKS || this.#segmentRecords >= SEGMENT_RECORDS) this.#finishSegment();
  }

  #finishSegment(): void {
    const records = this.#segmentRecords;
    const count = this.#segmentBlocks;
    if (count === 0) return;
    const { keys, fences, blocks, checksums } = this.memory;
    const filter_bytes = filterBytes(records);
    const isFiltered = this.#filters_bytes + filter_bytes <= this.filters_bytes_max;
    if (isFiltered) this.#filters_bytes += filter_bytes;
    this.segments.push(
      new Segment(
        this.target.nextSegment(),
        keys[records - 1] as number,
        records,
        fences.slice(0, count),
        blocks.slice(0, count),
        checksums.slice(0, count),
        isFiltered ? filterOf(keys, records) : undefined,
      ),
    );
    this.#records += records;
    this.#segmentRecords = 0;
    this.#segmentBlocks = 0;
  }
}
