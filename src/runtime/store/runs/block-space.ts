/** Which blocks of the file are in use. The lowest free one is always given next, so that neighbours fill up together. */
export class BlockSpace {
  /** A bit for each block, set if it is used. */
  #used = new Int32Array(64);
  /** All words before this one are full. */
  #lowest = 0;
  #count = 0;

  /** The number of blocks in use. */
  get count(): number {
    return this.#count;
  }

  /** The first block behind all that are in use. */
  get end(): number {
    let word = this.#used.length - 1;
    while (word >= 0 && this.#used[word] === 0) word--;
    return word < 0 ? 0 : 32 * (word + 1) - Math.clz32(this.#used[word] as number);
  }

  /** Takes the lowest free block. */
  take(): number {
    while (this.#lowest < this.#used.length && this.#used[this.#lowest] === -1) this.#lowest++;
    if (this.#lowest === this.#used.length) this.#grow(2 * this.#used.length);
    const free = ~(this.#used[this.#lowest] as number);
    const block = 32 * this.#lowest + (31 - Math.clz32(free & -free));
    this.takeAt(block);
    return block;
  }

  /** Returns false if the block is in use already. */
  takeAt(block: number): boolean {
    const word = block >>> 5;
    if (word >= this.#used.length) this.#grow(Math.max(2 * this.#used.length, word + 1));
    const bit = 1 << (block & 31);
    if (((this.#used[word] as number) & bit) !== 0) return false;
    this.#used[word]! |= bit;
    this.#count++;
    return true;
  }

  give(block: number): void {
    const word = block >>> 5;
    this.#used[word]! &= ~(1 << (block & 31));
    this.#count--;
    if (word < this.#lowest) this.#lowest = word;
  }

  #grow(words: number): void {
    const used = new Int32Array(words);
    used.set(this.#used);
    this.#used = used;
  }
}
