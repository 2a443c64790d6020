/**
 * CRC-32C (Castagnoli; RFC 3720, appendix B.4), which neither Bun nor node:zlib has. It takes eight bytes at a time
 * ("slicing-by-8"), which costs 0.6 ns a byte. Byte by byte it was 2.5 ns, and 4 % of a cart's time.
 */
export function crc32c(bytes: Uint8Array, from: number): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = TABLES as [Table, Table, Table, Table, Table, Table, Table, Table];
  const at = (i: number) => bytes[i] as number;
  let crc = -1;
  let i = from;
  for (; i + 8 <= bytes.length; i += 8) {
    crc ^= at(i) | (at(i + 1) << 8) | (at(i + 2) << 16) | (at(i + 3) << 24);
    crc =
      look(t7, crc) ^
      look(t6, crc >>> 8) ^
      look(t5, crc >>> 16) ^
      look(t4, crc >>> 24) ^
      look(t3, at(i + 4)) ^
      look(t2, at(i + 5)) ^
      look(t1, at(i + 6)) ^
      look(t0, at(i + 7));
  }
  for (; i < bytes.length; i++) crc = look(t0, crc ^ at(i)) ^ (crc >>> 8);
  return (crc ^ -1) >>> 0;
}

type Table = Int32Array;

const look = (table: Table, byte: number): number => table[byte & 0xff] as number;

const POLYNOMIAL_REVERSED = 0x82f63b78;

/** Table k gives the contribution of a byte that k more bytes follow. */
const TABLES: readonly Table[] = makeTables();

function makeTables(): Table[] {
  const first = Int32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL_REVERSED : crc >>> 1;
    return crc;
  });
  const tables = [first];
  for (let k = 1; k < 8; k++) tables.push((tables[k - 1] as Table).map((crc) => look(first, crc) ^ (crc >>> 8)));
  return tables;
}
