import { closeSync, constants, fdatasync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import { promisify } from "node:util";

/**
 * A file of bytes at offsets that the caller chooses. Every member but `sync` is synchronous. Errors are the system's,
 * with their `code`, so that `isStoreFailure` knows them. Through this port, tests let files fail.
 */
export interface ByteFile {
  /** Bytes. */
  readonly size: number;
  /** Reads `length` bytes at `at` into the buffer from `from` on. Returns fewer only where the file ends. */
  read(into: Buffer, from: number, length: number, at: number): number;
  /** Writes `length` bytes of the buffer from `from` on at `at`, or throws. */
  write(bytes: Buffer, from: number, length: number, at: number): void;
  truncate(size: number): void;
  /** Resolves when everything written before is on the disk. The disk is waited for off the main thread. */
  sync(): Promise<void>;
  close(): void;
}

const dataSynced = promisify(fdatasync);

/** Opens the file, or creates it if it is missing. */
export function openByteFile(path: string): ByteFile {
  return new DiskFile(openSync(path, constants.O_RDWR | constants.O_CREAT, 0o644), path);
}

/** Opens the file to be read only; it is not made if it is missing. */
export function openByteFileToRead(path: string): ByteFile {
  return new DiskFile(openSync(path, constants.O_RDONLY), path);
}

/**
 * ```
 *  open ──▶ closed
 * ```
 * A `sync` under way when the file is closed fails with EBADF.
 */
class DiskFile implements ByteFile {
  constructor(
    private readonly file: number,
    private readonly path: string,
  ) {}

  get size(): number {
    return fstatSync(this.file).size;
  }

  read(into: Buffer, from: number, length: number, at: number): number {
    let done = 0;
    while (done < length) {
      const bytes = readSync(this.file, into, from + done, length - done, at + done);
      if (bytes === 0) break;
      done += bytes;
    }
    return done;
  }

  write(bytes: Buffer, from: number, length: number, at: number): void {
    let done = 0;
    // A disk that fills up takes a part of the bytes and says so only at the next write.
    while (done < length) {
      const written = writeSync(this.file, bytes, from + done, length - done, at + done);
      if (written === 0) throw Object.assign(new Error(`${this.path} takes no more bytes`), { code: "ENOSPC" });
      done += written;
    }
  }

  truncate(size: number): void {
    ftruncateSync(this.file, size);
  }

  sync(): Promise<void> {
    return dataSynced(this.file);
  }

  close(): void {
    closeSync(this.file);
  }
}
