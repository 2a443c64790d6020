import type { ByteFile } from "../../../src/runtime/store/byte-file.ts";
import type { Random } from "../../../src/system/random.ts";
import { happens } from "../random.ts";

const BLOCK_BYTES = 4_096;

/** How a call of the file fails: called before each, an error that it throws is the call's. */
export type FileFault = (call: "read" | "write" | "sync") => void;

/** A file in memory that can be full, unreadable, or lose in a crash what was not synced. */
export class MemoryFile implements ByteFile {
  #bytes = Buffer.alloc(0);
  #synced = Buffer.alloc(0);
  readonly #unsynced = new Set<number>();
  fault: FileFault | undefined;
  /** The number of reads, and the blocks that they read. */
  reads = 0;
  blocksRead = 0;
  bytesWritten = 0;

  get size(): number {
    return this.#bytes.length;
  }

  read(into: Buffer, from: number, length: number, at: number): number {
    this.fault?.("read");
    this.reads++;
    this.blocksRead += length / BLOCK_BYTES;
    return this.#bytes.copy(into, from, Math.min(at, this.size), Math.min(at + length, this.size));
  }

  /** A write that fails has written half. */
  write(bytes: Buffer, from: number, length: number, at: number): void {
    try {
      this.fault?.("write");
    } catch (e) {
      this.#put(bytes, from, length >> 1, at);
      throw e;
    }
    this.#put(bytes, from, length, at);
  }

  #put(bytes: Buffer, from: number, written: number, at: number): void {
    if (at + written > this.size) this.#resize(at + written);
    bytes.copy(this.#bytes, at, from, from + written);
    this.bytesWritten += written;
    for (let block = Math.floor(at / BLOCK_BYTES); block * BLOCK_BYTES < at + written; block++) this.#unsynced.add(block);
  }

  truncate(size: number): void {
    this.#resize(size);
  }

  async sync(): Promise<void> {
    this.fault?.("sync");
    this.#synced = Buffer.from(this.#bytes);
    this.#unsynced.clear();
  }

  close(): void {}

  /** All that is in it. */
  toBuffer(): Buffer {
    return Buffer.from(this.#bytes);
  }

  /** The file as it is after a power cut: of the blocks written since the last sync, chance decides which are there. */
  crash(random: Random = () => 1): MemoryFile {
    const after = new MemoryFile();
    after.#bytes = Buffer.from(this.#synced);
    for (const block of this.#unsynced) {
      if (!happens(random, 0.5)) continue;
      const at = block * BLOCK_BYTES;
      if (at >= after.size) after.#resize(at + BLOCK_BYTES);
      this.#bytes.copy(after.#bytes, at, at, at + BLOCK_BYTES);
    }
    after.#synced = Buffer.from(after.#bytes);
    return after;
  }

  /** Changes a byte, as a disk does that goes bad. */
  damage(at: number): void {
    this.#bytes[at]! ^= 0x10;
  }

  #resize(size: number): void {
    const bytes = Buffer.alloc(size);
    this.#bytes.copy(bytes);
    this.#bytes = bytes;
  }
}
