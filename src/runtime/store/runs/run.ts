/** A part of a run: some blocks in the order of their keys. Never changed once it is made. */
export class Segment {
  readonly firstKey: number;

  constructor(
    /** Its number in the manifest; within a run, numbers ascend with the keys. */
    readonly id: number,
    readonly lastKey: number,
    readonly records: number,
    /** The first key of each block. The further blocks of a long record repeat its key. */
    readonly fences: Float64Array,
    /** Where in the file each block is. */
    readonly blocks: Uint32Array,
    /** CRC-32 of each block. Kept here, they also show a block that is whole, but another. */
    readonly checksums: Uint32Array,
    readonly filter: Int32Array | undefined,
  ) {
    this.firstKey = fences[0] as number;
  }

  /** The last block that begins at or before the key, which is not before the first; searched from block `from` on. */
  blockOf(key: number, from = 0): number {
    const { fences } = this;
    let low = from;
    let step = 1;
    while (low + step < fences.length && (fences[low + step] as number) <= key) {
      low += step;
      step *= 2;
    }
    let high = Math.min(low + step, fences.length);
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if ((fences[middle] as number) <= key) low = middle;
      else high = middle;
    }
    return low;
  }

  /** Whether the block holds no keys, but more of the long record that an earlier one begins. */
  isFurther(block: number): boolean {
    return block > 0 && this.fences[block] === this.fences[block - 1];
  }

  /** The block, or the first behind it that holds keys; the number of blocks if there is none. */
  notFurther(block: number): number {
    let found = block;
    while (this.isFurther(found)) found++;
    return found;
  }

  /**
   * The block that may have the key, if `block` is what `blockOf` says: for a long record its first. -1 if none may. The
   * other blocks of a long record that is merged may be in use for something else.
   */
  firstBlockOf(key: number, block: number): number {
    if (!this.isFurther(block)) return block;
    if (this.fences[block] !== key) return -1;
    let first = block;
    while (this.isFurther(first)) first--;
    return first;
  }

  /** How many of the first blocks hold no key above `frontier`, as far as the fences tell. */
  blocksBehind(frontier: number): number {
    if (this.lastKey <= frontier) return this.blocks.length;
    return this.firstKey > frontier ? 0 : this.blockOf(frontier);
  }
}

/** Records with ascending, distinct keys. Never changed once it is made. */
export class Run {
  /** The last key of each segment. */
  readonly lastKeys: Float64Array;
  /** The greatest key; -1 if there is none yet. */
  readonly lastKey: number;
  readonly records: number;

  constructor(
    readonly id: number,
    /** A run of a higher age is newer: its records win. */
    readonly age: number,
    readonly segments: readonly Segment[],
    /** About how many of its records replace one that is still in an older run. */
    readonly replaced: number,
  ) {
    this.lastKeys = Float64Array.from(segments, ({ lastKey }) => lastKey);
    this.lastKey = this.lastKeys.at(-1) ?? -1;
    this.records = segments.reduce((sum, { records }) => sum + records, 0);
  }

  /** The first segment with a key not below this one; the number of segments if there is none. */
  segmentOf(key: number): number {
    const { lastKeys } = this;
    let low = 0;
    let high = lastKeys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((lastKeys[middle] as number) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/**
 * A run, or the merging of several into one. What is merged is in `run`, up to its last key, the frontier; keys behind
 * it are looked up there, the others in the `inputs`, of which the newest is the first.
 */
export class Slot {
  /** How many records are left to merge, as far as the fences tell. */
  readonly left: number;

  constructor(
    readonly run: Run,
    readonly inputs: readonly Run[],
  ) {
    this.left = inputs.reduce((sum, input) => sum + recordsAhead(input, run.lastKey), 0);
  }

  get isMerging(): boolean {
    return this.inputs.length > 0;
  }

  get frontier(): number {
    return this.run.lastKey;
  }

  get records(): number {
    return this.run.records + this.left;
  }

  /** About how many records of older slots these replace. That of the inputs has passed to the run they become. */
  get replaced(): number {
    return this.run.replaced;
  }
}

const recordsAhead = ({ segments }: Run, frontier: number): number =>
  segments.reduce(
    (sum, segment) => sum + Math.ceil(segment.records * (1 - segment.blocksBehind(frontier) / segment.blocks.length)),
    0,
  );
