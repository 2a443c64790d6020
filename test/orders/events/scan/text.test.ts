import { describe, expect, test } from "bun:test";
import { currencyEnd, plainTextEnd, sameEnd } from "../../../../src/orders/events/scan/text.ts";

const viewOf = (text: string) => {
  const bytes = Buffer.from(text, "latin1");
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
};

const textEnd = (text: string) => plainTextEnd(viewOf(text), 0, text.length);

describe("plain text", () => {
  test.each([1, 3, 4, 5, 8, 127, 128])("of %d characters ends at its quote", (length) => {
    expect(textEnd(`${"x".repeat(length)}"`)).toBe(length);
    expect(textEnd(`${"x".repeat(length)}"more"`)).toBe(length);
    expect(textEnd("x".repeat(length))).toBe(-1);
  });

  test("is neither empty nor longer than an id may be", () => {
    expect(textEnd('"')).toBe(-1);
    expect(textEnd(`${"x".repeat(129)}"`)).toBe(-1);
  });

  test("has no escapes, no controls and nothing but ASCII, wherever in it a byte is", () => {
    for (let length = 1; length <= 9; length++) {
      for (let at = 0; at < length; at++) {
        for (let byte = 0; byte < 256; byte++) {
          if (byte === 34) continue;
          const isPlain = byte >= 32 && byte <= 126 && byte !== 92;
          const text = `${"x".repeat(at)}${String.fromCharCode(byte)}${"x".repeat(length - at - 1)}"`;
          if (textEnd(text) !== (isPlain ? length : -1)) expect(text).toBe(isPlain ? "taken" : "not taken");
        }
      }
    }
  });

  test("is not read beyond the end", () => {
    const view = viewOf('123456789"');
    for (let to = 0; to <= 9; to++) expect(plainTextEnd(view, 0, to)).toBe(-1);
    expect(plainTextEnd(view, 0, 10)).toBe(9);
  });
});

test.each(["USD", "XYZ", "AAA", "ZZZ"])("%s is the code of a currency", (code) => {
  expect(currencyEnd(viewOf(code), 0, 3)).toBe(3);
});

test.each(["usd", "US1", "U@D", "US[", "US"])("%p is none", (code) => {
  expect(currencyEnd(viewOf(code), 0, code.length)).toBe(-1);
});

test("the same bytes are found once more, and no others", () => {
  expect(sameEnd(viewOf("12-12"), 0, 2, 3, 5)).toBe(5);
  expect(sameEnd(viewOf("12-13"), 0, 2, 3, 5)).toBe(-1);
  expect(sameEnd(viewOf("12-12"), 0, 2, 3, 4)).toBe(-1);
});
