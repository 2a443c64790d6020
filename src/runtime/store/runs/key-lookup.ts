import type { ByteFile } from "../byte-file.ts";
import { BlockBuffer } from "./blocks.ts";
import { keyBits, keyHash, mayHold } from "./key-filter.ts";
import type { Run, Slot } from "./run.ts";
import { longRecord } from "./run-reader.ts";

/** The bytes from `from` to before `to`. They are good until the runs are asked again. */
export interface FoundRecord {
  readonly bytes: Buffer;
  readonly from: number;
  readonly to: number;
}

/** Looks one key up, in the newest runs first. */
export class KeyLookup {
  readonly #buffer = new BlockBuffer(1);
  readonly #found: { bytes: Buffer; from: number; to: number } = { bytes: this.#buffer.bytes, from: 0, to: 0 };

  constructor(private readonly file: ByteFile) {}

  find(slots: readonly Slot[], key: number): FoundRecord | undefined {
    const hash = keyHash(key);
    const bits = keyBits(key);
    for (const { run, inputs, frontier } of slots) {
      if (inputs.length === 0 || key <= frontier) {
        if (this.#findIn(run, key, hash, bits)) return this.#found;
      } else for (const input of inputs) if (this.#findIn(input, key, hash, bits)) return this.#found;
    }
    return undefined;
  }

  #findIn(run: Run, key: number, hash: number, bits: number): boolean {
    const segment = run.segments[run.segmentOf(key)];
    if (segment === undefined || key < segment.firstKey) return false;
    if (segment.filter !== undefined && !mayHold(segment.filter, hash, bits)) return false;
    const block = segment.firstBlockOf(key, segment.blockOf(key));
    if (block < 0) return false;
    const buffer = this.#buffer;
    const number = segment.blocks[block] as number;
    buffer.read(this.file, number, 1);
    buffer.check(0, segment.checksums[block] as number, number);
    const n = buffer.search(0, key);
    if (n < 0) return false;
    const found = this.#found;
    const isLong = buffer.longBytes(0) > 0;
    found.bytes = isLong ? longRecord(this.file, segment, block, buffer, 0) : buffer.bytes;
    found.from = isLong ? 0 : buffer.start(0, n);
    found.to = isLong ? found.bytes.length : buffer.end(0, n);
    return true;
  }
}
