/** A varint of up to seven bytes is exact as a number, and so is its sum with a number below 2^52. */
export const EXACT_VARINT_BYTES_MAX = 7;
const VARINT_BYTES_MAX = 10;
/** The bit of a byte after which the varint goes on. */
const LONG = 0x80;

const cutShort = (): Error => new Error("a record is cut short");

/**
 * Reads the parts of records from `at` up to, and not including, `to`. A read that would go further throws a plain
 * Error.
 */
export class RecordCursor {
  constructor(
    private readonly buffer: Buffer,
    public at: number,
    private readonly to: number,
  ) {}

  /** Reads a zigzag varint of up to 64 bits, exact up to 2^53. */
  varint(): number {
    if (this.at >= this.to) throw cutShort();
    const byte = this.buffer[this.at++] as number;
    if (byte < LONG) return (byte >>> 1) ^ -(byte & 1);
    const second = this.at < this.to ? (this.buffer[this.at] as number) : LONG;
    if (second >= LONG) return this.#longVarint(byte);
    this.at++;
    return (((byte & 0x7f) | (second << 7)) >>> 1) ^ -(byte & 1);
  }

  /** Reads the zigzag varint at this place, exactly; the cursor stays where it is. */
  bigVarint(at: number): bigint {
    let value = 0n;
    for (let shift = 0n, i = at; ; shift += 7n, i++) {
      const byte = this.buffer[i] as number;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < LONG) break;
    }
    value = BigInt.asUintN(64, value);
    return (value >> 1n) ^ -(value & 1n);
  }

  /** Passes bytes with their length before them. Returns where they begin; −1 if they are null. */
  skipBytes(): number {
    const length = this.varint();
    if (length < 0) return -1;
    const from = this.at;
    this.at += length;
    if (this.at > this.to) throw cutShort();
    return from;
  }

  /** A view; null if the length says so. */
  bytes(): Buffer | null {
    const from = this.skipBytes();
    return from < 0 ? null : this.buffer.subarray(from, this.at);
  }

  /** Checks that the headers can be read when they are asked for later. A null name counts as no name. */
  skipHeaders(): void {
    const { buffer, to } = this;
    const count = this.varint();
    if (count < 0) throw new Error("a record has fewer headers than none");
    for (let parts = count * 2; parts > 0; parts--) {
      const byte = this.at < to ? (buffer[this.at] as number) : LONG;
      if ((byte & (LONG | 1)) === 0) {
        this.at += 1 + (byte >>> 1);
      } else {
        const length = this.varint();
        if (length > 0) this.at += length;
      }
    }
    if (this.at > to) throw cutShort();
  }

  #longVarint(first: number): number {
    let value = first & 0x7f;
    let byte = first;
    for (let scale = 128, read = 1; byte >= LONG; scale *= 128, read++) {
      if (this.at >= this.to || read >= VARINT_BYTES_MAX) throw cutShort();
      byte = this.buffer[this.at++] as number;
      value += (byte & 0x7f) * scale;
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
}
