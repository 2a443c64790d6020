import { expect, test } from "bun:test";
import fc from "fast-check";
import { linesOf } from "../../../src/tools/terminal/lines.ts";

async function* pieces(text: string, size: number): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
const all = async (text: string, size: number, line_bytes_max = 1_000, text_bytes_max = 100_000) => {
  const lines: string[] = [];
  for await (const line of linesOf(pieces(text, size), line_bytes_max, text_bytes_max)) lines.push(line);
  return lines;
};

test("lines are the same however the text is cut into pieces, also within a character", async () => {
  const line = fc.string({ unit: "grapheme" }).map((text) => text.replaceAll("\n", " "));
  await fc.assert(
    fc.asyncProperty(fc.array(line), fc.integer({ min: 1, max: 20 }), async (lines, size) => {
      expect(await all(lines.map((one) => `${one}\n`).join(""), size)).toEqual(lines);
    }),
  );
});

test("a line or a text beyond its bound ends with a sentence, and so does a last line without its end", async () => {
  await expect(all("12345", 2, 4)).rejects.toThrow("a line has more than 4 bytes");
  expect(await all("1234\n", 2, 4)).toEqual(["1234"]);
  await expect(all("1\n2\n3\n", 2, 4, 5)).rejects.toThrow("it has more than 5 bytes of text");
  await expect(all("1\n2", 2)).rejects.toThrow("its last line is cut short");
});
