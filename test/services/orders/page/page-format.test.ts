import { expect, test } from "bun:test";
import { hexDump, visible } from "../../../../src/services/orders/page/format.ts";

test("what cannot be seen is shown, and nothing turns the writing direction", () => {
  expect(visible("a\u0000b\u001bc\u007fd\u009be")).toBe("a␀b␛c\\u007fd\\u009be");
  expect(visible("two\n\tlines")).toBe("two\n\tlines");
  expect(visible("abc\u202edcba\u2066\ufeff")).toBe("abc\\u202edcba\\u2066\\ufeff");
  expect(visible("€ 😀 <b>")).toBe("€ 😀 <b>");
});

test("bytes are dumped as hexdump -C does", () => {
  const lines = [
    "00000000  00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f  |................|",
    "00000010  41 7f                                            |A.|",
  ];
  expect(hexDump(Uint8Array.from([...Array(16).keys(), 0x41, 0x7f]))).toBe(lines.join("\n"));
});
