import { describe, expect, test } from "bun:test";
import { LAYOUTS, Literal, literal, StatusLiterals } from "../../../../src/orders/events/scan/layout.ts";
import { STATUSES } from "../../../../src/orders/order.ts";

const viewOf = (text: string) => {
  const bytes = Buffer.from(text, "latin1");
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
};

describe("a literal", () => {
  test.each(["8 bytes.", "11 bytes...", "16 bytes........", "22 bytes..............", "32 bytes........................"])(
    "%p ends behind its last byte, and is no other bytes",
    (text) => {
      const it = new Literal(text);
      expect(it.end(viewOf(`ab${text}cd`), 2, text.length + 4)).toBe(text.length + 2);
      for (let at = 0; at < text.length; at++) {
        for (let byte = 0; byte < 256; byte++) {
          if (byte === text.charCodeAt(at)) continue;
          const changed = text.slice(0, at) + String.fromCharCode(byte) + text.slice(at + 1);
          if (it.end(viewOf(changed), 0, text.length) >= 0) expect(changed).toBe("no such literal");
        }
      }
    },
  );

  test("is not read beyond the end", () => {
    const it = new Literal("11 bytes...");
    for (let to = 0; to < 11; to++) expect(it.end(viewOf("11 bytes..."), 0, to)).toBe(-1);
    expect(it.is(viewOf("11 bytes..."), 0, 11)).toBe(true);
    expect(it.is(viewOf("11 bytes...."), 0, 12)).toBe(false);
  });

  test("has at least eight bytes", () => {
    expect(() => new Literal("7 bytes")).toThrow("shorter than 8 bytes");
  });

  test("is written with each layout's own separators", () => {
    const written = [',"items":[],"total_amount":', ', "items": [], "total_amount": '];
    for (const [i, layout] of LAYOUTS.entries()) {
      const text = written[i]!;
      expect(literal(layout, written[0]!).is(viewOf(text), 0, text.length)).toBe(true);
    }
  });
});

test("a status is found with its member's name and the end of the value, and no part of one is", () => {
  const statuses = new StatusLiterals(LAYOUTS[0]!, '"}');
  const find = (value: string) => statuses.find(viewOf(value), 0, value.length);
  for (const [i, status] of STATUSES.entries()) expect(find(`","status":"${status}"}`)).toBe(i);
  for (const value of [
    '","status":"news"}',
    '","status":"ne"}',
    '","status":"new"}}',
    '","status":"new"',
    '","status":""}',
    "",
  ]) {
    expect(find(value)).toBe(-1);
  }
});
