import { NO_KEY, RunReader } from "./run-reader.ts";
import type { Run, Slot } from "./run.ts";
import type { RunsMemory } from "./runs-memory.ts";
import type { ByteFile } from "../byte-file.ts";

const NOTHING = Buffer.alloc(0);

/**
 * Goes through the newest record of each key, in ascending order. If the runs change meanwhile, it goes on in the new
 * ones behind the key at which it is.
 *
 * ```
 *  before the first ──next──▶ at a record … ──next──▶ at the end, or closed
 * ```
 */
export class RunsCursor {
  key = -1;
  /** The record: the bytes from `from` to before `to`, good until the next call. */
  bytes: Buffer = NOTHING;
  from = 0;
  to = 0;
  /** Those of the newest runs are first. */
  #readers: RunReader[] = [];
  #slots: readonly Slot[] | undefined;
  #isClosed = false;

  constructor(
    private readonly file: ByteFile,
    private readonly memory: RunsMemory,
    private readonly current: () => readonly Slot[],
    after: number,
  ) {
    this.key = after;
  }

  /** Goes to the next record; false at the end. A cursor that throws is closed. */
  next(): boolean {
    if (this.#isClosed) return false;
    try {
      const newest = this.#newest();
      if (newest === undefined) this.close();
      else this.#show(newest);
      return newest !== undefined;
    } catch (e) {
      this.close();
      throw e;
    }
  }

  /** Gives its memory back. A cursor that is read to its end need not be closed. */
  close(): void {
    this.#isClosed = true;
    this.#giveBack();
  }

  /** The reader with the least key behind the cursor's, and of those the newest. */
  #newest(): RunReader | undefined {
    if (this.#slots !== this.current()) this.#open();
    let newest: RunReader | undefined;
    for (const reader of this.#readers) {
      if (reader.key <= this.key) reader.advance();
      if (reader.key !== NO_KEY && (newest === undefined || reader.key < newest.key)) newest = reader;
    }
    return newest;
  }

  #show({ key, long, buffer, start, end }: RunReader): void {
    this.key = key;
    this.bytes = long ?? buffer.bytes;
    this.from = long === undefined ? start : 0;
    this.to = long?.length ?? end;
  }

  #open(): void {
    this.#giveBack();
    this.#slots = this.current();
    for (const { run, inputs, frontier } of this.#slots) {
      if (run.lastKey > this.key) this.#read(run, this.key);
      for (const input of inputs) this.#read(input, Math.max(this.key, frontier));
    }
  }

  #read(run: Run, after: number): void {
    this.#readers.push(new RunReader(this.file, run, this.memory.takeBuffer(), after));
  }

  #giveBack(): void {
    for (const { buffer } of this.#readers) this.memory.giveBuffer(buffer);
    this.#readers = [];
  }
}
