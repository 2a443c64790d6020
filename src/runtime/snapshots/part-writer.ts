import { ByteWriter } from "../store/bytes/byte-writer.ts";
import type { Piece } from "../store/copy/held-store.ts";
import type { Cell } from "../store/copy/pinned-database.ts";
import { PART_BYTES } from "./manifest.ts";

/** The tags of a row's cells. */
export const NULL = 0;
export const NUMBER = 1;
export const TEXT = 2;
export const BLOB = 3;

/** What a cell takes beside a text or a blob. */
const CELL_BYTES_MAX = 16;

/**
 * What is in a part. Rows: the table's name, its columns, and its rows up to the part's end, each cell with its tag.
 * Pieces: each with its offset in the file, its length and its bytes. All numbers but cells' are as in ByteWriter.
 *
 * ```
 *  begun ──row(), piece()──▶ filling ──isFull──▶ taken, and begun anew
 * ```
 */
export class PartWriter {
  readonly #out = new ByteWriter();
  readonly #doubles = Buffer.alloc(8);

  get isEmpty(): boolean {
    return this.#out.at === 0;
  }

  /** Whether something of this length belongs into the part. */
  hasRoom(bytes: number): boolean {
    return this.#out.at + bytes <= PART_BYTES;
  }

  beginRows(table: string, columns: readonly string[]): void {
    const out = this.#out;
    out.text(table);
    out.reserve(CELL_BYTES_MAX);
    out.varint(columns.length);
    for (const column of columns) out.text(column);
  }

  row(cells: readonly Cell[]): void {
    for (const cell of cells) this.#cell(cell);
  }

  piece({ at, bytes }: Piece): void {
    const out = this.#out;
    out.reserve(CELL_BYTES_MAX + bytes.length);
    out.varint(at);
    out.varint(bytes.length);
    out.bytes.set(bytes, out.at);
    out.at += bytes.length;
  }

  /** The part's bytes, good until something is written again. */
  take(): Uint8Array {
    const { bytes, at } = this.#out;
    this.#out.at = 0;
    return bytes.subarray(0, at);
  }

  #cell(cell: Cell): void {
    const out = this.#out;
    out.reserve(CELL_BYTES_MAX);
    if (cell === null) return out.u8(NULL);
    if (typeof cell === "number") {
      this.#doubles.writeDoubleLE(cell);
      out.u8(NUMBER);
      return out.copy(this.#doubles, 0, 8);
    }
    if (typeof cell === "string") {
      out.u8(TEXT);
      return out.text(cell);
    }
    out.u8(BLOB);
    out.varint(cell.length);
    out.reserve(cell.length);
    out.bytes.set(cell, out.at);
    out.at += cell.length;
  }
}

/** How many bytes the row takes at most. */
export const rowBytes = (cells: readonly Cell[]): number =>
  cells.reduce<number>(
    (sum, cell) =>
      sum + CELL_BYTES_MAX + (typeof cell === "string" ? 3 * cell.length : cell instanceof Uint8Array ? cell.length : 0),
    0,
  );

export const pieceBytes = ({ bytes }: Piece): number => CELL_BYTES_MAX + bytes.length;
