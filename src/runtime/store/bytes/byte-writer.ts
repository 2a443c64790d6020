const FIRST_BYTES = 4_096;
export const VARINT_BYTES_MAX = 8;
/** Above this, a number takes more than the 32 bits that shifts work on. */
const SHIFTED_MAX = 2 ** 31;

/**
 * Writes values one after the other into bytes that grow. Integers are unsigned and little-endian. Texts make room for
 * themselves; before integers are written, the caller makes room for them with `reserve`, as checking for each byte took
 * longer than writing it.
 */
export class ByteWriter {
  bytes: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  at = 0;

  /** Makes room for `length` more bytes. */
  reserve(length: number): void {
    if (this.at + length <= this.bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.at + length, this.bytes.length * 2));
    this.bytes.copy(grown, 0, 0, this.at);
    this.bytes = grown;
  }

  u8(n: number): void {
    this.bytes[this.at++] = n;
  }

  u32(n: number): void {
    const { bytes, at } = this;
    bytes[at] = n;
    bytes[at + 1] = n >>> 8;
    bytes[at + 2] = n >>> 16;
    bytes[at + 3] = n >>> 24;
    this.at = at + 4;
  }

  /** An integer below 2^48. */
  u48(n: number): void {
    this.u32(n >>> 0);
    const high = Math.floor(n / 2 ** 32);
    this.u8(high);
    this.u8(high >>> 8);
  }

  /** An integer below 2^53 in 1 to 8 bytes: seven bits in each, of which the lowest come first. */
  varint(n: number): void {
    const { bytes } = this;
    let at = this.at;
    let rest = n;
    for (; rest >= SHIFTED_MAX; rest = Math.floor(rest / 128)) bytes[at++] = (rest % 128) | 0x80;
    for (; rest >= 128; rest >>>= 7) bytes[at++] = (rest & 127) | 0x80;
    bytes[at++] = rest;
    this.at = at;
  }

  /** The length in bytes, and the text as UTF-8. */
  text(text: string): void {
    const length = Buffer.byteLength(text);
    this.reserve(VARINT_BYTES_MAX + length);
    this.varint(length);
    this.at += this.bytes.write(text, this.at, "utf8");
  }

  /** As `text`, from bytes that are UTF-8 already. */
  textBytes(from: Uint8Array, start: number, end: number): void {
    const length = end - start;
    this.reserve(VARINT_BYTES_MAX + length);
    this.varint(length);
    this.copy(from, start, end);
  }

  copy(from: Uint8Array, start: number, end: number): void {
    this.reserve(end - start);
    const { bytes } = this;
    let at = this.at;
    for (let i = start; i < end; i++) bytes[at++] = from[i] as number;
    this.at = at;
  }
}
