import type { ByteFile } from "../byte-file.ts";
import type { Piece } from "./held-store.ts";
import { BLOCK_BYTES, damagedBlock } from "../runs/blocks.ts";
import type { Segment, Slot } from "../runs/run.ts";

/** What is held of a store that is written to all the time: as much again as it has, and this much. */
const KEPT_BLOCKS_MIN = 16_384;
/** Blocks read by one call where they are neighbours, 256 KiB. */
const READ_BLOCKS = 64;

/**
 * Keeps the blocks of the runs as they were when it was made, while they change. Blocks that are freed meanwhile wait,
 * and the file grows instead, by a bound (I10): beyond it the hold breaks, and whoever reads by it has to begin anew.
 *
 * ```
 *  held ──release()──▶ released
 *    └─ too many blocks wait ─▶ broken
 * ```
 */
export class RunsHold {
  readonly #numbers: Uint32Array;
  readonly #checksums: ReadonlyMap<number, number>;
  /** The blocks that were freed meanwhile. */
  readonly #waiting: number[] = [];
  readonly #waiting_max: number;
  #state: "held" | "broken" | "released" = "held";

  /** `onOver` is called with the blocks that waited. */
  constructor(
    private readonly file: ByteFile,
    slots: readonly Slot[],
    private readonly onOver: (blocks: readonly number[]) => void,
  ) {
    this.#checksums = checksumsOf(slots);
    this.#numbers = Uint32Array.from(this.#checksums.keys()).toSorted();
    this.#waiting_max = Math.max(KEPT_BLOCKS_MIN, this.#numbers.length);
  }

  get isBroken(): boolean {
    return this.#state === "broken";
  }

  /** How many bytes are held. */
  get bytes(): number {
    return this.#numbers.length * BLOCK_BYTES;
  }

  /** Takes a block that is freed. Returns false if it may be written over at once. */
  keep(block: number): boolean {
    if (this.#state !== "held" || !this.#checksums.has(block)) return false;
    this.#waiting.push(block);
    if (this.#waiting.length > this.#waiting_max) this.#end("broken");
    return true;
  }

  /**
   * The blocks, ascending, each compared with its checksum. Throws an error of damage for one that is not what was
   * written there.
   */
  *pieces(): Generator<Piece> {
    const numbers = this.#numbers;
    const buffer = Buffer.allocUnsafe(READ_BLOCKS * BLOCK_BYTES);
    for (let n = 0; n < numbers.length;) {
      const first = numbers[n] as number;
      let count = 1;
      while (count < READ_BLOCKS && n + count < numbers.length && numbers[n + count] === first + count) count++;
      const bytes = buffer.subarray(0, count * BLOCK_BYTES);
      if (this.file.read(bytes, 0, bytes.length, first * BLOCK_BYTES) < bytes.length)
        throw damagedBlock(first, "The file ends before it.");
      for (let i = 0; i < count; i++)
        if (Bun.hash.crc32(bytes.subarray(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES)) !== this.#checksums.get(first + i))
          throw damagedBlock(first + i, "Its checksum is another.");
      yield { at: first * BLOCK_BYTES, bytes };
      n += count;
    }
  }

  release(): void {
    if (this.#state === "held") this.#end("released");
  }

  #end(state: "broken" | "released"): void {
    this.#state = state;
    this.onOver(this.#waiting);
  }
}

/** The checksum of each block that counts, by its number. */
function checksumsOf(slots: readonly Slot[]): ReadonlyMap<number, number> {
  const checksums = new Map<number, number>();
  const note = ({ blocks, checksums: sums }: Segment, from: number): void => {
    for (let n = from; n < blocks.length; n++) checksums.set(blocks[n] as number, sums[n] as number);
  };
  for (const { run, inputs, frontier } of slots) {
    for (const segment of run.segments) note(segment, 0);
    for (const { segments } of inputs) for (const segment of segments) note(segment, segment.blocksBehind(frontier));
  }
  return checksums;
}
