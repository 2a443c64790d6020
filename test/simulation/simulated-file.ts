/** Bytes that grow, with zeros where nothing was put. */
class Image {
  bytes = Buffer.alloc(16_384);
  size = 0;

  put(source: Buffer, from: number, length: number, at: number): void {
    this.#grow(at + length);
    if (at > this.size) this.bytes.fill(0, this.size, at);
    source.copy(this.bytes, at, from, from + length);
    this.size = Math.max(this.size, at + length);
  }

  take(other: Image): void {
    this.size = 0;
    this.put(other.bytes, 0, other.size, 0);
  }

  #grow(size: number): void {
    if (size <= this.bytes.length) return;
    const grown = Buffer.alloc(2 ** Math.ceil(Math.log2(size)));
    this.bytes.copy(grown, 0, 0, this.size);
    this.bytes = grown;
  }
}

interface Write {
  readonly at: number;
  readonly bytes: Buffer;
}

/**
 * A file on a disk: its bytes as processes see them, and those that are sure to be there after a power cut. Between the
 * two are the writes since the last completed sync, of which a power cut leaves some, whole or in part.
 *
 * ```
 *  write ──▶ seen by all, not synced ──a sync that began after it completes──▶ synced
 *                   │                └──a sync that began after it fails──▶ seen by all, and never synced
 *                   └──powerCut()──▶ there, there in part, or gone
 * ```
 * A sync that fails takes what it was to write out of the next sync's reach, as Linux does: whoever wants those bytes
 * on the disk has to write them again.
 */
export class SimulatedFile {
  readonly #seen = new Image();
  readonly #synced = new Image();
  #unsynced: Write[] = [];
  /** How many writes have left `#unsynced`. */
  #left = 0;

  get size(): number {
    return this.#seen.size;
  }

  read(into: Buffer, from: number, length: number, at: number): number {
    const { bytes, size } = this.#seen;
    return bytes.copy(into, from, Math.min(at, size), Math.min(at + length, size));
  }

  write(bytes: Buffer, from: number, length: number, at: number): void {
    this.#seen.put(bytes, from, length, at);
    this.#unsynced.push({ at, bytes: Buffer.from(bytes.subarray(from, from + length)) });
  }

  /** Marks all writes until now; give the mark to `endSync`. */
  beginSync(): number {
    return this.#left + this.#unsynced.length;
  }

  endSync(mark: number, isDone: boolean): void {
    const ended = this.#unsynced.splice(0, Math.max(0, mark - this.#left));
    this.#left += ended.length;
    if (isDone) for (const { at, bytes } of ended) this.#synced.put(bytes, 0, bytes.length, at);
  }

  powerCut(random: () => number): void {
    for (const { at, bytes } of this.#unsynced) {
      const fate = random();
      const kept = fate < 0.4 ? 0 : fate < 0.8 ? bytes.length : Math.floor(random() * bytes.length);
      if (kept > 0) this.#synced.put(bytes, 0, kept, at);
    }
    this.#left += this.#unsynced.length;
    this.#unsynced = [];
    this.#seen.take(this.#synced);
  }

  /** Empties the file, for another run. */
  empty(): void {
    this.#seen.size = 0;
    this.#synced.size = 0;
    this.#unsynced = [];
  }
}
