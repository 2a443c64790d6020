import type { ByteFile } from "../byte-file.ts";
import type { StoreDatabase } from "../store-database.ts";
import { BlockSpace } from "./block-space.ts";
import { type FoundRecord, KeyLookup } from "./key-lookup.ts";
import type { OnFound } from "./keys-lookup.ts";
import { BLOCK_BYTES, damagedBlock } from "./blocks.ts";
import { Manifest, manifestSchema } from "./manifest.ts";
import type { Slot } from "./run.ts";
import { RunsChange } from "./runs-change.ts";
import { RunsCursor } from "./runs-cursor.ts";
import { RunsHold } from "../copy/runs-hold.ts";
import { RunsMemory } from "./runs-memory.ts";

export interface SortedRunsOptions {
  /** Shared by all the runs of a process. */
  readonly memory?: RunsMemory;
  /** How many bytes of memory the filters may take, about 1.25 for each record. A look-up reads where there is none. */
  readonly filter_bytes_max?: number;
}

const FILTER_BYTES_MAX = 64 << 20;

/**
 * Records by key, for many more keys than a page of a B-tree for each change could bear: sorted runs of records, newer
 * ones above older ones, merged a step at a time (O'Neil and others, “The log-structured merge-tree”, 1996). The
 * records are in blocks of a file; which blocks, SQLite knows, so that the records and whatever else is in the database
 * move in one transaction.
 *
 * Keys are integers from 0 to below 2^53, records strings of bytes, usually short. The newest record of a key counts;
 * none is removed.
 *
 * ```
 *  open, the runs as the last committed transaction left them
 *    ──change()──▶ a change is under way ──adopt()──▶ open, with the change
 *                    └──drop()──▶ open, as before
 * ```
 * A block that is not what was written there is an error of damage (`isDamage`), never a wrong record.
 */
export class SortedRuns {
  #slots: readonly Slot[];
  readonly #space = new BlockSpace();
  readonly #manifest: Manifest;
  readonly #memory: RunsMemory;
  readonly #lookup: KeyLookup;
  readonly #filter_bytes_max: number;
  #isChanging = false;
  /**
   * Not in use, and not used again before the next change is adopted: what the last change freed, as a power cut may
   * still take its transaction back. After an opening it may be any free block, since the process before was perhaps killed.
   */
  #freed: Set<number>;
  #hold: RunsHold | undefined;

  /** The tables that runs of this name need. The name is a part of theirs. */
  static schema(name: string): string {
    return manifestSchema(name);
  }

  constructor(
    db: StoreDatabase,
    private readonly file: ByteFile,
    name: string,
    { memory = new RunsMemory(), filter_bytes_max = FILTER_BYTES_MAX }: SortedRunsOptions = {},
  ) {
    this.#memory = memory;
    this.#filter_bytes_max = filter_bytes_max;
    this.#manifest = new Manifest(db, name);
    this.#lookup = new KeyLookup(file);
    this.#slots = this.#manifest.load(this.#space);
    if (file.size < this.#space.end * BLOCK_BYTES) throw damagedBlock(this.#space.end - 1, "The file ends before it.");
    this.#freed = new Set();
    const blocks = Math.ceil(file.size / BLOCK_BYTES);
    for (let block = 0; block < blocks; block++) if (this.#space.takeAt(block)) this.#freed.add(block);
  }

  /**
   * The number of records in all runs; a record that a newer one replaces counts until both are merged. What is left of
   * runs that are being merged is an estimate.
   */
  get records(): number {
    return this.#slots.reduce((sum, { records }) => sum + records, 0);
  }

  /** The number of blocks of 4,096 bytes that are in use. */
  get blocks(): number {
    return this.#space.count - this.#freed.size;
  }

  /** How many runs there are, with those that are being merged, and how many segments these have. */
  get counts(): { readonly runs: number; readonly segments: number } {
    const runs = this.#slots.flatMap(({ run, inputs }) => [run, ...inputs]);
    return { runs: runs.length, segments: runs.reduce((sum, { segments }) => sum + segments.length, 0) };
  }

  /** A checksum of the manifest's rows, which have one each, and of how many there are. */
  get checksum(): number {
    return this.#manifest.checksum(this.#slots);
  }

  /**
   * Takes a block of the file for something else than records: the one at that offset, if it was taken before, or one
   * that is free. Returns its offset in bytes. Throws an error of damage if records are in it.
   */
  reserve(at: number | undefined): number {
    if (at === undefined) return this.#space.take() * BLOCK_BYTES;
    const block = at / BLOCK_BYTES;
    if (!this.#freed.delete(block) && !this.#space.takeAt(block)) throw damagedBlock(block, "It is not of the runs alone.");
    return at;
  }

  /** The newest record of the key, good until the next call. */
  find(key: number): FoundRecord | undefined {
    return this.#lookup.find(this.#slots, key);
  }

  /**
   * Looks up the first `count` of the keys, which ascend. Calls back for each that is found, in no certain order.
   */
  findAll(keys: Float64Array, count: number, onFound: OnFound): void {
    const lookup = this.#memory.takeLookup();
    try {
      lookup.findAll(this.file, this.#slots, keys, count, onFound);
    } finally {
      this.#memory.giveLookup(lookup);
    }
  }

  /** The newest record of each key above `after`, ascending. Give -1 for all. */
  scan(after: number): RunsCursor {
    return new RunsCursor(this.file, this.#memory, () => this.#slots, after);
  }

  /**
   * Holds the records as the last committed transaction left them: no block of them is written over until the hold is
   * released. There may be one.
   */
  hold(): RunsHold {
    if (this.#hold !== undefined) throw new Error("The runs are held already");
    this.#hold = new RunsHold(this.file, this.#slots, (blocks) => {
      this.#hold = undefined;
      this.#give(blocks);
    });
    return this.#hold;
  }

  /** Lets the blocks be written over, at once or when nobody holds them any more. */
  #give(blocks: Iterable<number>): void {
    for (const block of blocks) if (this.#hold?.keep(block) !== true) this.#space.give(block);
  }

  /** Begins the one change that may be under way. */
  change(): RunsChange {
    if (this.#isChanging) throw new Error("Another change of the runs is under way");
    this.#isChanging = true;
    return new RunsChange({
      file: this.file,
      space: this.#space,
      manifest: this.#manifest,
      memory: this.#memory,
      slots: this.#slots,
      filter_bytes_max: this.#filter_bytes_max,
      onOver: (after) => {
        this.#isChanging = false;
        if (after === undefined) return;
        this.#slots = after.slots;
        this.#give(this.#freed);
        this.#freed = new Set(after.freed);
      },
    });
  }
}
