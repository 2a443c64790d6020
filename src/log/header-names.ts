import { isUtf8 } from "node:buffer";

/**
 * Kafka's protocol says that a header's name is UTF-8, and a broker takes any bytes. So that a name which is none is written again as it
 * was, each of its bytes from 0x80 on is read as a lone surrogate, U+DC80 to U+DCFF, which no UTF-8 gives (as Python does, PEP 383).
 */
const ESCAPES = 0xdc00;
const ASCII_MAX = 0x7f;
const BYTE_MAX = 0xff;

export function nameOf(bytes: Buffer): string {
  const name = bytes.toString();
  // Reading puts a replacement character in the place of what is none; a name may also have had one.
  if (!name.includes("\ufffd") || isUtf8(bytes)) return name;
  return String.fromCharCode(...Array.from(bytes, (byte) => (byte > ASCII_MAX ? ESCAPES + byte : byte)));
}

export function bytesOfName(name: string): Buffer {
  if (name.isWellFormed()) return Buffer.from(name);
  return Buffer.concat(
    Array.from(name, (char) => {
      const byte = (char.codePointAt(0) ?? 0) - ESCAPES;
      return byte > ASCII_MAX && byte <= BYTE_MAX ? Buffer.of(byte) : Buffer.from(char);
    }),
  );
}
