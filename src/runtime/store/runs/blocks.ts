import type { ByteFile } from "../byte-file.ts";
import { damagedRow } from "../store-failures.ts";

/**
 * What is in a block, little-endian:
 *
 * ```
 *  0        8                                    4096 - 10n    4096 - 8n      4096
 *  ├────────┼─────────────────────────┬ ─ ─ ─ ─ ─┼─────────────┼──────────────┤
 *  │n, long │records' bytes           │ unused   │n ends       │n keys        │
 *  │2 × u32 │each from a multiple of 4│          │u16, in bytes│f64, ascending│
 *  └────────┴─────────────────────────┴ ─ ─ ─ ─ ─┴─────────────┴──────────────┘
 * ```
 *
 * A record begins at the first multiple of 4 after the end of the one before it. So it costs 10 bytes beside its own,
 * and 1.5 to align it, which lets whole words be copied. A record too long for one block has `long` bytes: the
 * first `LONG_FIRST_BYTES` are in this block, alone, and the others fill the blocks that follow it in the segment.
 */
export const BLOCK_BYTES = 4_096;
export const HEADER_BYTES = 8;
export const KEY_BYTES = 8;
export const ENTRY_BYTES = 10;
/** The longest record that goes into a block with its key and end. */
export const LONG_FIRST_BYTES = BLOCK_BYTES - HEADER_BYTES - ENTRY_BYTES;
/** The most records in a block: empty ones. */
export const BLOCK_RECORDS_MAX = Math.floor((BLOCK_BYTES - HEADER_BYTES) / ENTRY_BYTES);

/** How many further blocks a record takes, beside its first. */
export const furtherBlocks = (bytes: number): number =>
  bytes <= LONG_FIRST_BYTES ? 0 : Math.ceil((bytes - LONG_FIRST_BYTES) / BLOCK_BYTES);

/** The block of that number is not the one that was written there. */
export const damagedBlock = (number: number, cause: string): Error => damagedRow(`Block ${number} of the runs`, cause);

/** Room for some blocks side by side, seen as each kind of number that is in them. */
export class BlockBuffer {
  readonly bytes: Buffer;
  readonly words: Int32Array;
  readonly halves: Uint16Array;
  readonly doubles: Float64Array;
  readonly #blocks: Buffer[] = [];

  constructor(readonly capacity: number) {
    const memory = new ArrayBuffer(capacity * BLOCK_BYTES);
    this.bytes = Buffer.from(memory);
    this.words = new Int32Array(memory);
    this.halves = new Uint16Array(memory);
    this.doubles = new Float64Array(memory);
    for (let n = 0; n < capacity; n++) this.#blocks.push(Buffer.from(memory, n * BLOCK_BYTES, BLOCK_BYTES));
  }

  /** Reads neighbouring blocks of the file, `count` from `number` on, into the first places. */
  read(file: ByteFile, number: number, count: number): void {
    const bytes = file.read(this.bytes, 0, count * BLOCK_BYTES, number * BLOCK_BYTES);
    if (bytes < count * BLOCK_BYTES) throw damagedBlock(number + Math.floor(bytes / BLOCK_BYTES), "The file ends before it.");
  }

  /** CRC-32 of the block in that place. */
  checksum(place: number): number {
    return Bun.hash.crc32(this.#blocks[place] as Buffer);
  }

  /** Throws unless the block in that place, read from that number, has the checksum. */
  check(place: number, checksum: number, number: number): void {
    if (this.checksum(place) !== checksum) throw damagedBlock(number, "Its checksum is another.");
  }

  count(place: number): number {
    return this.words[place * (BLOCK_BYTES / 4)] as number;
  }

  /** The length of the record if it is too long for a block, else 0. */
  longBytes(place: number): number {
    return this.words[place * (BLOCK_BYTES / 4) + 1] as number;
  }

  /** The place of the key among the block's, or -1. */
  search(place: number, key: number): number {
    const { doubles } = this;
    const count = this.count(place);
    const keys = ((place + 1) * BLOCK_BYTES) / KEY_BYTES - count;
    let low = 0;
    let high = count - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const found = doubles[keys + middle] as number;
      if (found === key) return middle;
      if (found < key) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  /** Where in `bytes` the n-th record of the block ends. */
  end(place: number, n: number): number {
    const ends = ((place + 1) * BLOCK_BYTES - ENTRY_BYTES * this.count(place)) / 2;
    return place * BLOCK_BYTES + (this.halves[ends + n] as number);
  }

  /** Where in `bytes` the n-th record of the block begins. */
  start(place: number, n: number): number {
    return n === 0 ? place * BLOCK_BYTES + HEADER_BYTES : (this.end(place, n - 1) + 3) & ~3;
  }
}
