/** Smaller answers are cheap to receive into memory of their own. */
export const SHARED_BYTES_MIN = 128 * 1024;
/**
 * About how large an answer to a fetch may be, whatever the number of partitions. Larger ones were read no faster: with
 * 4 MiB an order service took 30 MiB more at its peak, and kept requests waiting for 180 ms in place of 77.
 */
export const FETCHED_BYTES_MAX = 2 * 1024 * 1024;
/** A buffer takes a fetch answer of the usual size. A larger answer gets one of its own, which is not used again. */
const BUFFER_BYTES = FETCHED_BYTES_MAX + 256 * 1024;
/** One answer is applied while another is there and a third comes in. */
const FREE_MAX = 3;

/**
 * The memory into which a connection receives large answers. Fresh memory for each was more than half of all that a
 * restore allocated, and the collector ran for it.
 *
 * ```
 *  free, or made ──take()──▶ read ──giveBack()──▶ free
 *                             └── never given back: the collector's
 * ```
 */
export class AnswerBuffers {
  readonly #free: Buffer[] = [];

  /** A buffer of exactly that length; what is in it is anybody's. */
  take(length: number): Buffer {
    if (length > BUFFER_BYTES) return Buffer.allocUnsafeSlow(length);
    const buffer = this.#free.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
    return buffer.subarray(0, length);
  }

  /** Takes the memory of an answer back, of which nobody may read a byte any more. */
  giveBack(answer: Uint8Array): void {
    if (answer.buffer.byteLength === BUFFER_BYTES && this.#free.length < FREE_MAX) this.#free.push(Buffer.from(answer.buffer));
  }
}

/**
 * The memory of one answer, which the batches in it share. It is given back when the last who holds it lets go; it is
 * made held once.
 */
export class AnswerMemory {
  #holders = 1;

  constructor(
    private readonly payload: Uint8Array,
    private readonly buffers: AnswerBuffers,
  ) {}

  held(): this {
    this.#holders++;
    return this;
  }

  release(): void {
    if (--this.#holders === 0) this.buffers.giveBack(this.payload);
  }
}
