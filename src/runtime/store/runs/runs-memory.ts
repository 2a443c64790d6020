import { BlockBuffer } from "./blocks.ts";
import { KeysLookup } from "./keys-lookup.ts";
import { WriterMemory } from "./run-writer.ts";

/** Blocks read by one call where they are neighbours, 64 KiB. */
const READ_BLOCKS = 16;

/**
 * The memory of look-ups, merges and cursors, for all the runs of a process: each is of use only while a function runs, or a
 * cursor is read.
 */
export class RunsMemory {
  readonly #buffers: BlockBuffer[] = [];
  readonly #writers: WriterMemory[] = [];
  readonly #lookups: KeysLookup[] = [];

  takeBuffer(): BlockBuffer {
    return this.#buffers.pop() ?? new BlockBuffer(READ_BLOCKS);
  }

  giveBuffer(buffer: BlockBuffer): void {
    this.#buffers.push(buffer);
  }

  takeWriter(): WriterMemory {
    return this.#writers.pop() ?? new WriterMemory();
  }

  giveWriter(writer: WriterMemory): void {
    this.#writers.push(writer);
  }

  takeLookup(): KeysLookup {
    return this.#lookups.pop() ?? new KeysLookup();
  }

  giveLookup(lookup: KeysLookup): void {
    this.#lookups.push(lookup);
  }
}
