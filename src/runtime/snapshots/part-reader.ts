import type { Piece } from "../store/copy/held-store.ts";
import type { Cell, TableRows } from "../store/copy/pinned-database.ts";
import { BLOB, NULL, NUMBER, TEXT } from "./part-writer.ts";

/** The rows of a part. Throws a RangeError where the bytes are none that PartWriter wrote. */
export function readRows(part: Uint8Array): TableRows {
  const from = new PartBytes(part);
  const table = from.text();
  const columns = Array.from({ length: from.varint() }, () => from.text());
  return { table, columns, rows: rowsOf(from, columns.length) };
}

function* rowsOf(from: PartBytes, columns: number): Generator<readonly Cell[]> {
  while (!from.isAtEnd) yield Array.from({ length: columns }, () => from.cell());
}

/** The pieces of a part. Throws a RangeError where the bytes are none that PartWriter wrote. */
export function* readPieces(part: Uint8Array): Generator<Piece> {
  const from = new PartBytes(part);
  while (!from.isAtEnd) {
    const at = from.varint();
    yield { at, bytes: from.blob() };
  }
}

class PartBytes {
  #at = 0;
  readonly #bytes: Buffer;

  constructor(part: Uint8Array) {
    this.#bytes = Buffer.from(part.buffer, part.byteOffset, part.byteLength);
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#bytes.readUInt8(this.#at++);
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }

  blob(): Buffer {
    const length = this.varint();
    const from = this.#at;
    if (from + length > this.#bytes.length) throw new RangeError("the part ends too early");
    this.#at = from + length;
    return this.#bytes.subarray(from, this.#at);
  }

  text(): string {
    return this.blob().toString();
  }

  cell(): Cell {
    const tag = this.#bytes.readUInt8(this.#at++);
    switch (tag) {
      case NULL:
        return null;
      case NUMBER:
        this.#at += 8;
        return this.#bytes.readDoubleLE(this.#at - 8);
      case TEXT:
        return this.text();
      case BLOB:
        return this.blob();
      default:
        throw new RangeError(`${tag} is no tag of a cell`);
    }
  }
}
