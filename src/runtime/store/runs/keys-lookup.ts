import type { ByteFile } from "../byte-file.ts";
import { BlockBuffer } from "./blocks.ts";
import { keyBits, keyHash, mayHold } from "./key-filter.ts";
import type { Run, Segment, Slot } from "./run.ts";
import { longRecord, neighbours } from "./run-reader.ts";

/** Called with the place of the key among those asked for, and the record, which is good until it returns. */
export type OnFound = (n: number, bytes: Buffer, from: number, to: number) => void;

/** Blocks read by one call, 64 KiB. */
const READ_BLOCKS = 16;
/** A block that is not asked for is read along if it lies between others with at most so many like it. */
const GAP_BLOCKS_MAX = 2;

/** Looks many keys up. It keeps the memory for that, 64 KiB and 20 bytes for each key asked for at once. */
export class KeysLookup {
  /** Of the keys of one call: which are not found yet, ascending, and their hashes. */
  #open = new Int32Array(0);
  #hashes = new Int32Array(0);
  #bits = new Int32Array(0);
  /** Those in `open` that a segment may have, and in which of its blocks. */
  #candidates = new Int32Array(0);
  #blocks = new Int32Array(0);
  readonly #buffer = new BlockBuffer(READ_BLOCKS);
  #file: ByteFile | undefined;
  #keys: Float64Array = new Float64Array(0);
  #onFound: OnFound = () => {};

  findAll(file: ByteFile, slots: readonly Slot[], keys: Float64Array, count: number, onFound: OnFound): void {
    this.#prepare(keys, count);
    this.#file = file;
    this.#onFound = onFound;
    let open = count;
    for (const { run, inputs, frontier } of slots) {
      if (open === 0) break;
      if (inputs.length === 0) {
        open = this.#findAllIn(run, 0, open);
        continue;
      }
      const ahead = this.#firstAbove(frontier, open);
      for (const input of inputs) open = this.#findAllIn(input, ahead, open);
      const behind = this.#findAllIn(run, 0, ahead);
      this.#open.copyWithin(behind, ahead, open);
      open -= ahead - behind;
    }
  }

  #prepare(keys: Float64Array, count: number): void {
    if (this.#open.length < count) {
      this.#open = new Int32Array(count);
      this.#hashes = new Int32Array(count);
      this.#bits = new Int32Array(count);
      this.#candidates = new Int32Array(count);
      this.#blocks = new Int32Array(count);
    }
    this.#keys = keys;
    for (let n = 0; n < count; n++) {
      const key = keys[n] as number;
      this.#open[n] = n;
      this.#hashes[n] = keyHash(key);
      this.#bits[n] = keyBits(key);
    }
  }

  /** The first place in `open`, before `to`, of a key above this one. */
  #firstAbove(key: number, to: number): number {
    let low = 0;
    let high = to;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#keys[this.#open[middle] as number] as number) <= key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Looks up the keys in `open` from `from` to before `to`. Those not found stay there; returns where they end. */
  #findAllIn(run: Run, from: number, to: number): number {
    const { segments } = run;
    const keys = this.#keys;
    const open = this.#open;
    const hashes = this.#hashes;
    const bits = this.#bits;
    const candidates = this.#candidates;
    const blocks = this.#blocks;
    let isAnyFound = false;
    let n = from;
    for (let s = n < to ? run.segmentOf(keys[open[n] as number] as number) : 0; s < segments.length && n < to; s++) {
      const segment = segments[s] as Segment;
      const { firstKey, lastKey, filter } = segment;
      let count = 0;
      let block = 0;
      for (; n < to; n++) {
        const asked = open[n] as number;
        const key = keys[asked] as number;
        if (key > lastKey) break;
        if (key < firstKey) continue;
        if (filter !== undefined && !mayHold(filter, hashes[asked] as number, bits[asked] as number)) continue;
        block = segment.blockOf(key, block);
        const first = segment.firstBlockOf(key, block);
        if (first < 0) continue;
        candidates[count] = n;
        blocks[count++] = first;
      }
      if (count > 0 && this.#readCandidates(segment, count)) isAnyFound = true;
    }
    if (!isAnyFound) return to;
    let kept = from;
    for (let i = from; i < to; i++) {
      const asked = open[i] as number;
      if (asked >= 0) open[kept++] = asked;
    }
    return kept;
  }

  /** Reads the blocks of the candidates, and marks in `open` with -1 those that are found. */
  #readCandidates(segment: Segment, count: number): boolean {
    const buffer = this.#buffer;
    const blocks = this.#blocks;
    let isAnyFound = false;
    let first = 0;
    let behind = 0;
    let checked = -1;
    for (let n = 0; n < count; n++) {
      const block = blocks[n] as number;
      if (block >= behind) {
        first = block;
        behind = block + neighbours(segment, block, this.#wantedBlocks(n, count));
        buffer.read(this.#file as ByteFile, segment.blocks[block] as number, behind - block);
      }
      const place = block - first;
      if (block !== checked) buffer.check(place, segment.checksums[block] as number, segment.blocks[block] as number);
      checked = block;
      if (this.#take(segment, block, place, this.#candidates[n] as number)) isAnyFound = true;
    }
    return isAnyFound;
  }

  /** How many blocks to read at once from the n-th candidate's on. */
  #wantedBlocks(n: number, count: number): number {
    const blocks = this.#blocks;
    const first = blocks[n] as number;
    let last = first;
    for (let i = n + 1; i < count; i++) {
      const block = blocks[i] as number;
      if (block - last > GAP_BLOCKS_MAX + 1 || block - first >= this.#buffer.capacity) break;
      last = block;
    }
    return last - first + 1;
  }

  /** Hands the record over if it is in the block in that place of the buffer. */
  #take(segment: Segment, block: number, place: number, candidate: number): boolean {
    const buffer = this.#buffer;
    const asked = this.#open[candidate] as number;
    const n = buffer.search(place, this.#keys[asked] as number);
    if (n < 0) return false;
    this.#open[candidate] = -1;
    if (buffer.longBytes(place) > 0) {
      const long = longRecord(this.#file as ByteFile, segment, block, buffer, place);
      this.#onFound(asked, long, 0, long.length);
    } else this.#onFound(asked, buffer.bytes, buffer.start(place, n), buffer.end(place, n));
    return true;
  }
}
