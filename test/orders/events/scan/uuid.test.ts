import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { uuidText } from "../../../../src/orders/event-ids.ts";
import { Uuid, UUID_CHARS } from "../../../../src/orders/events/scan/uuid.ts";

const bytesOf = (text: string) => Buffer.from(text, "latin1");
const viewOf = (bytes: Buffer) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
const uuid = new Uuid();

/** The UUID that was read, as text; undefined where none was. */
function read(text: string): string | undefined {
  const bytes = bytesOf(text);
  return uuid.read(viewOf(bytes), 0, bytes.length) ? written(uuid) : undefined;
}

const written = ({ a, b, c, d }: Uuid): string => uuidText([a, b, c, d]);

describe("a UUID", () => {
  test("is four integers, its first digits first", () => {
    expect(read("00000001-0002-0003-fffe-ffffffffffff")).toBeDefined();
    expect([uuid.a, uuid.b, uuid.c, uuid.d]).toEqual([1, 0x00020003, 0xfffe_ffff | 0, -1]);
  });

  test("is written as it was read", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/), (text) => {
        expect(read(text)).toBe(text);
      }),
      { numRuns: 1_000 },
    );
  });

  test("has no other byte in any place, as capital letters, which make another id", () => {
    const text = "01234567-89ab-cdef-0123-456789abcdef";
    const form = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
    for (let at = 0; at < text.length; at++) {
      for (let byte = 0; byte < 256; byte++) {
        const changed = text.slice(0, at) + String.fromCharCode(byte) + text.slice(at + 1);
        if (read(changed) !== (form.test(changed) ? changed : undefined)) expect(changed).toBe("read as what it is");
      }
    }
  });

  test("is not read beyond the end", () => {
    const bytes = bytesOf("01234567-89ab-cdef-0123-456789abcdef");
    for (let to = 0; to < UUID_CHARS; to++) expect(uuid.read(viewOf(bytes), 0, to)).toBe(false);
  });
});
