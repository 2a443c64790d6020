/**
 * The primitive types of Kafka's protocol (https://kafka.apache.org/protocol#protocol_types), as far as our own
 * requests need them. Compact types and tagged fields belong to flexible versions (KIP-482).
 */
export class WireWriter {
  readonly #chunks: Buffer[] = [];
  /** What is being written, and how much of it is. */
  #open = Buffer.allocUnsafe(OPEN_BYTES_MIN);
  #at = 0;

  int8(n: number): this {
    this.#makeRoom(1);
    this.#at = this.#open.writeInt8(n, this.#at);
    return this;
  }

  int16(n: number): this {
    this.#makeRoom(2);
    this.#at = this.#open.writeInt16BE(n, this.#at);
    return this;
  }

  int32(n: number): this {
    this.#makeRoom(4);
    this.#at = this.#open.writeInt32BE(n, this.#at);
    return this;
  }

  /** Exact within ±2^53, as offsets and ids are. */
  int64(n: number): this {
    const high = Math.floor(n / 4294967296);
    this.int32(high).#makeRoom(4);
    this.#at = this.#open.writeUInt32BE(n - high * 4294967296, this.#at);
    return this;
  }

  string(text: string | null): this {
    if (text === null) return this.int16(-1);
    const bytes = Buffer.from(text);
    return this.int16(bytes.length).#push(bytes);
  }

  bytes(bytes: Buffer): this {
    return this.int32(bytes.length).#push(bytes);
  }

  array<T>(items: readonly T[], write: (item: T) => void): this {
    this.int32(items.length);
    for (const item of items) write(item);
    return this;
  }

  uvarint(n: number): this {
    const bytes: number[] = [];
    let rest = n;
    for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
    return this.#push(Buffer.from([...bytes, rest]));
  }

  compactString(text: string): this {
    const bytes = Buffer.from(text);
    return this.uvarint(bytes.length + 1).#push(bytes);
  }

  compactArray<T>(items: readonly T[], write: (item: T) => void): this {
    this.uvarint(items.length + 1);
    for (const item of items) write(item);
    return this;
  }

  uuid(bytes: Buffer): this {
    return this.#push(bytes);
  }

  noTags(): this {
    return this.int8(0);
  }

  /** The form that kafkajs' connections take, thanks to our patch. Nothing may be written after that. */
  done(): { readonly chunks: readonly Buffer[] } {
    this.#close();
    return { chunks: this.#chunks };
  }

  /** Long bytes are not copied, so they must stay as they are until the request is sent. */
  #push(bytes: Buffer): this {
    if (bytes.length > COPIED_BYTES_MAX) {
      this.#close();
      this.#chunks.push(bytes);
      return this;
    }
    this.#makeRoom(bytes.length);
    this.#at += bytes.copy(this.#open, this.#at);
    return this;
  }

  #makeRoom(bytes: number): void {
    if (this.#at + bytes <= this.#open.length) return;
    this.#close();
    this.#open = Buffer.allocUnsafe(OPEN_BYTES_MIN);
  }

  /** What follows is written to the rest of the same buffer. */
  #close(): void {
    if (this.#at > 0) this.#chunks.push(this.#open.subarray(0, this.#at));
    this.#open = this.#open.subarray(this.#at);
    this.#at = 0;
  }
}

/** How much is allocated at once for what is written. */
const OPEN_BYTES_MIN = 1024;
const COPIED_BYTES_MAX = 256;

/** Reads a response from its start to its end; a read beyond the end throws a RangeError. */
export class WireReader {
  at = 0;

  constructor(private readonly buffer: Buffer) {}

  int8(): number {
    return this.buffer.readInt8(this.at++);
  }

  boolean(): boolean {
    return this.int8() !== 0;
  }

  int16(): number {
    return this.buffer.readInt16BE((this.at += 2) - 2);
  }

  int32(): number {
    return this.buffer.readInt32BE((this.at += 4) - 4);
  }

  /** Exact within ±2^53, as offsets and ids are. */
  int64(): number {
    return readInt64(this.buffer, (this.at += 8) - 8);
  }

  string(): string | null {
    return this.#text(this.int16());
  }

  /** A view; empty if the wire has null. */
  bytes(): Buffer {
    const length = Math.max(0, this.int32());
    return this.buffer.subarray(this.at, (this.at += length));
  }

  array<T>(read: () => T): T[] {
    return this.#items(this.int32(), read);
  }

  uvarint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.buffer.readUInt8(this.at++);
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }

  compactString(): string | null {
    return this.#text(this.uvarint() - 1);
  }

  compactArray<T>(read: () => T): T[] {
    return this.#items(this.uvarint() - 1, read);
  }

  /** 32 hexadecimal digits. */
  uuid(): string {
    return this.buffer.toString("hex", this.at, (this.at += 16));
  }

  skipTags(): void {
    for (let tags = this.uvarint(); tags > 0; tags--) {
      this.uvarint();
      this.at += this.uvarint();
    }
  }

  #text(length: number): string | null {
    if (length < 0) return null;
    return this.buffer.toString("utf8", this.at, (this.at += length));
  }

  #items<T>(count: number, read: () => T): T[] {
    const items: T[] = [];
    for (let left = count; left > 0; left--) items.push(read());
    return items;
  }
}

/** Reads an int64 that must fit a JavaScript number exactly, as offsets and producer ids do. */
export function readInt64(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 4294967296 + bytes.readUInt32BE(at + 4);
}
