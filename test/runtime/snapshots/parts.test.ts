import { expect, test } from "bun:test";
import fc from "fast-check";
import { PART_BYTES } from "../../../src/runtime/snapshots/manifest.ts";
import { readPieces, readRows } from "../../../src/runtime/snapshots/part-reader.ts";
import { PartWriter, rowBytes } from "../../../src/runtime/snapshots/part-writer.ts";
import type { Cell } from "../../../src/runtime/store/copy/pinned-database.ts";

const cell: fc.Arbitrary<Cell> = fc.oneof(
  fc.constant(null),
  fc.maxSafeInteger(),
  fc.double({ noNaN: true }),
  fc.string({ unit: "binary" }),
  fc.uint8Array({ maxLength: 6_000 }),
);

test("rows are read as they were written, whatever their cells are", () => {
  const rows = fc.tuple(
    fc.array(fc.string(), { minLength: 1, maxLength: 4 }),
    fc.array(fc.array(cell, { minLength: 4, maxLength: 4 })),
  );
  fc.assert(
    fc.property(fc.string(), rows, (table, [columns, all]) => {
      const cut = all.map((row) => row.slice(0, columns.length));
      const part = new PartWriter();
      part.beginRows(table, columns);
      for (const row of cut) part.row(row);
      const read = readRows(Uint8Array.from(part.take()));
      const wanted = cut.map((row) => row.map((one) => (one instanceof Uint8Array ? Buffer.from(one) : one)));
      expect([read.table, read.columns, [...read.rows]]).toEqual([table, columns, wanted]);
    }),
  );
});

test("a row takes no more than it is said to", () => {
  fc.assert(
    fc.property(fc.array(cell, { minLength: 1 }), (row) => {
      const part = new PartWriter();
      part.row(row);
      expect(part.take().length).toBeLessThanOrEqual(rowBytes(row));
    }),
  );
});

test("pieces are read as they were written, and a part says when it is full", () => {
  const part = new PartWriter();
  const pieces = [
    { at: 0, bytes: Buffer.from("first") },
    { at: 2 ** 40, bytes: Buffer.alloc(0) },
    { at: 4_096, bytes: Buffer.alloc(4_096, 7) },
  ];
  for (const piece of pieces) part.piece(piece);
  expect([part.hasRoom(100), part.hasRoom(PART_BYTES)]).toEqual([true, false]);
  const bytes = Uint8Array.from(part.take());
  expect(part.isEmpty).toBe(true);
  expect([...readPieces(bytes)]).toEqual(pieces);
});

test("bytes that are no part are refused", () => {
  const part = new PartWriter();
  part.piece({ at: 1, bytes: Buffer.from("something") });
  const bytes = Uint8Array.from(part.take());
  expect(() => [...readPieces(bytes.subarray(0, -1))]).toThrow(RangeError);
  expect(() => [...readRows(Uint8Array.of(1, 65, 1, 1, 66, 9)).rows]).toThrow("9 is no tag of a cell");
});
