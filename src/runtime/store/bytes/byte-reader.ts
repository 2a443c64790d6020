const NOTHING = Buffer.alloc(0);

/** Reads what a ByteWriter wrote. Throws a RangeError where the bytes end before the value does. */
export class ByteReader {
  private at = 0;
  private end = 0;

  constructor(private bytes: Buffer = NOTHING) {
    this.end = bytes.length;
  }

  /** Reads the bytes from `from` up to, and not including, `to`, from now on. */
  begin(bytes: Buffer, from: number, to: number): this {
    this.bytes = bytes;
    this.at = from;
    this.end = to;
    return this;
  }

  u8(): number {
    if (this.at >= this.end) throw new RangeError("the bytes end too early");
    return this.bytes[this.at++] as number;
  }

  u32(): number {
    const low = this.u8() | (this.u8() << 8) | (this.u8() << 16);
    return low + this.u8() * 2 ** 24;
  }

  /** The same 32 bits as `u32`, as a signed integer. */
  i32(): number {
    return this.u32() | 0;
  }

  u48(): number {
    const low = this.u32();
    return low + (this.u8() + this.u8() * 256) * 2 ** 32;
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.u8();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }

  text(): string {
    const length = this.varint();
    const from = this.at;
    if (from + length > this.end) throw new RangeError("the bytes end too early");
    this.at = from + length;
    return this.bytes.toString("utf8", from, this.at);
  }

  latin1(length: number): string {
    const from = this.at;
    if (from + length > this.end) throw new RangeError("the bytes end too early");
    this.at = from + length;
    return this.bytes.toString("latin1", from, this.at);
  }
}
