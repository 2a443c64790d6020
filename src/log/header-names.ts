import { isUtf8 } from "node:buffer";

/**
 * Kafka's protocol says that a header's name is UTF-8, but a broker takes any bytes. A name that is not UTF-8 must be
 * written again as it was, so each of its bytes from 0x80 on is read as a lone surrogate, U+DC80 to U+DCFF. No UTF-8
 * decodes to those (Python does the same, PEP 383).
 */
const ESCAPES = 0xdc00;
const ASCII_MAX = 0x7f;
const BYTE_MAX = 0xff;

export function decodeName(bytes: Buffer): string {
  const name = bytes.toString();
  // Decoding replaces invalid bytes with U+FFFD, but a valid name may contain that character too.
  if (!name.includes("\ufffd") || isUtf8(bytes)) return name;
  return String.fromCharCode(...Array.from(bytes, (byte) => (byte > ASCII_MAX ? ESCAPES + byte : byte)));
}

export function encodeName(name: string): Buffer {
  if (name.isWellFormed()) return Buffer.from(name);
  return Buffer.concat(
    Array.from(name, (char) => {
      const byte = (char.codePointAt(0) ?? 0) - ESCAPES;
      return byte > ASCII_MAX && byte <= BYTE_MAX ? Buffer.of(byte) : Buffer.from(char);
    }),
  );
}
