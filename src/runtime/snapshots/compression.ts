import { promisify } from "node:util";
import { zstdCompress, zstdDecompress } from "node:zlib";

/** Makes bytes shorter, and back. Through this port, a simulation does so without leaving its virtual time. */
export interface Compression {
  compress(bytes: Uint8Array): Promise<Uint8Array>;
  /** Rejects if the bytes are none that `compress` gave, or would be longer than `bytes_max`. */
  decompress(bytes: Uint8Array, bytes_max: number): Promise<Uint8Array>;
}

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/** Zstandard at its default level, off the main thread. */
export const zstd: Compression = {
  compress: (bytes) => compress(bytes),
  decompress: (bytes, bytes_max) => decompress(bytes, { maxOutputLength: bytes_max }),
};
