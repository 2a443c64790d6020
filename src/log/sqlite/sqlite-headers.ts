import { decodeName, encodeName } from "../header-names.ts";
import type { Header, NewHeader } from "../port.ts";

/**
 * Encodes a record's headers as one blob, in order and including duplicates. For each header it has the name's length
 * (int32), the name (UTF-8), the value's length (int32, −1 for null) and the value's bytes, all big-endian. Without
 * headers the result is null, and so is the column.
 */
export function encodeHeaders(headers: readonly NewHeader[]): Buffer | null {
  if (headers.length === 0) return null;
  const length = (text: string | Uint8Array) => (typeof text === "string" ? Buffer.byteLength(text) : text.length);
  // A name that is not UTF-8 keeps its bytes (header-names.ts).
  const parts = headers.map(([name, value]) => [name.isWellFormed() ? name : encodeName(name), value] as const);
  let size = 0;
  for (const [name, value] of parts) size += 8 + length(name) + (value === null ? 0 : length(value));
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  const put = (text: string | Uint8Array): void => {
    at = bytes.writeInt32BE(length(text), at);
    if (typeof text === "string") at += bytes.write(text, at, "utf8");
    else {
      bytes.set(text, at);
      at += text.length;
    }
  };
  for (const [name, value] of parts) {
    put(name);
    if (value === null) at = bytes.writeInt32BE(-1, at);
    else put(value);
  }
  return bytes;
}

export function decodeHeaders(bytes: Buffer | null): Header[] {
  const headers: Header[] = [];
  if (bytes === null) return headers;
  for (let at = 0; at < bytes.length;) {
    const nameEnd = at + 4 + bytes.readInt32BE(at);
    const name = decodeName(bytes.subarray(at + 4, nameEnd));
    const valueLength = bytes.readInt32BE(nameEnd);
    at = nameEnd + 4 + Math.max(valueLength, 0);
    headers.push([name, valueLength < 0 ? null : bytes.subarray(nameEnd + 4, at)]);
  }
  return headers;
}
