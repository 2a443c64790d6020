import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { WireReader, WireWriter } from "../../../src/log/kafka/protocol/wire.ts";

type Write = readonly ["int8" | "int16" | "int32" | "int64", number] | readonly ["string", string] | readonly ["bytes", Buffer];

const integer = (bits: number) => fc.integer({ min: -(2 ** (bits - 1)), max: 2 ** (bits - 1) - 1 });
const write: fc.Arbitrary<Write> = fc.oneof(
  integer(8).map((n) => ["int8", n] as const),
  integer(16).map((n) => ["int16", n] as const),
  integer(32).map((n) => ["int32", n] as const),
  fc.oneof(fc.maxSafeInteger(), fc.constantFrom(-1, 0, 2 ** 32, -(2 ** 32))).map((n) => ["int64", n] as const),
  fc.string({ maxLength: 40, unit: "binary" }).map((text) => ["string", text.toWellFormed()] as const),
  fc.uint8Array({ maxLength: 600 }).map((bytes) => ["bytes", Buffer.from(bytes)] as const),
);

function written(writes: readonly Write[]): readonly Buffer[] {
  const out = new WireWriter();
  for (const [type, what] of writes) {
    if (type === "string") out.string(what);
    else if (type === "bytes") out.bytes(what);
    else out[type](what);
  }
  return out.done().chunks;
}

describe("a request", () => {
  test("is read as it was written, however long it is", () => {
    fc.assert(
      fc.property(fc.array(write, { maxLength: 200 }), (writes) => {
        const bytes = Buffer.concat(written(writes));
        const wire = new WireReader(bytes);
        for (const [type, what] of writes) {
          if (type === "bytes") expect(wire.bytes().equals(what)).toBe(true);
          else expect(wire[type]()).toBe(what);
        }
        expect(wire.at).toBe(bytes.length);
      }),
    );
  });

  test("has 64 bits as DataView writes them", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (n) => {
        const view = new DataView(new ArrayBuffer(8));
        view.setBigInt64(0, BigInt(n));
        expect(Buffer.concat(written([["int64", n]])).equals(Buffer.from(view.buffer))).toBe(true);
      }),
    );
  });

  test("takes long bytes as they are, without a copy, and what comes before and after them in one piece each", () => {
    const records = Buffer.alloc(5_000, 7);
    const chunks = written([
      ["string", "orders.events"],
      ["int32", 1],
      ["bytes", records],
      ["int8", 0],
      ["string", "end"],
    ]);
    expect(chunks.map(({ length }) => length)).toEqual([23, 5_000, 6]);
    expect(chunks[1]).toBe(records);
  });
});
