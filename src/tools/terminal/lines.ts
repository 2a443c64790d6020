const NEWLINE = 0x0a;

/**
 * Splits a text that comes in pieces into its lines. Throws a plain Error where a line or the text is too long, or
 * where the last line has no newline.
 */
export async function* linesOf(
  pieces: AsyncIterable<Buffer>,
  line_bytes_max: number,
  text_bytes_max: number,
): AsyncGenerator<string> {
  let begun: Buffer[] = [];
  let begun_bytes = 0;
  let text_bytes = 0;
  for await (const piece of pieces) {
    text_bytes += piece.length;
    if (text_bytes > text_bytes_max) throw new Error(`it has more than ${text_bytes_max} bytes of text`);
    let from = 0;
    for (let end = piece.indexOf(NEWLINE); end >= 0; end = piece.indexOf(NEWLINE, from)) {
      begun.push(piece.subarray(from, end));
      yield Buffer.concat(begun).toString();
      begun = [];
      begun_bytes = 0;
      from = end + 1;
    }
    begun.push(piece.subarray(from));
    begun_bytes += piece.length - from;
    if (begun_bytes > line_bytes_max) throw new Error(`a line has more than ${line_bytes_max} bytes`);
  }
  if (begun_bytes > 0) throw new Error("its last line is cut short");
}
