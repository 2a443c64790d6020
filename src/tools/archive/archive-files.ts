import { createHash, type Hash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  createReadStream,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { createGunzip, gzipSync } from "node:zlib";
import { AppError } from "../../errors.ts";
import { type ArchivedRecord, parseArchiveLine } from "./archive-line.ts";
import { withFile } from "../files/file-failures.ts";
import { linesOf } from "../terminal/lines.ts";
import { writeDurably } from "../files/write-durably.ts";

/** A file of an archive; `first` and `last` are the offsets of its first and last record. */
export interface ArchiveFile {
  readonly partition: number;
  readonly first: number;
  readonly last: number;
  /** The path below the archive's directory. */
  readonly name: string;
}

/** What a manifest says of a file, by which a restore can tell that the file is whole. */
export interface FileSum {
  readonly name: string;
  readonly records: number;
  readonly bytes: number;
  readonly sha256: string;
}

/**
 * A line holds a record in base64. None of our files comes near these bounds, but a forged one may inflate to
 * anything.
 */
export const LINE_BYTES_MAX = 128 * 1024 * 1024;
const FILE_TEXT_BYTES_MAX = 512 * 1024 * 1024;

/**
 * The files are for their owner alone, whatever the umask of the program that wrote them: orders are customers' data.
 */
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
const ANY_MODE = 0o777;

const NAME = /^(?<first>[0-9]{20})-(?<last>[0-9]{20})\.jsonl\.gz$/;
const digits = (n: number, width: number): string => String(n).padStart(width, "0");

/**
 * The files of one topic's archive, `<directory>/<topic>/<partition>/<first offset>-<last offset>.jsonl.gz`.
 * pipelines/archive.yaml gives them the same names.
 */
export class ArchiveFiles {
  constructor(
    readonly directory: string,
    readonly topic: string,
  ) {}

  /** The files in the order of their partitions and, within a partition, of their offsets. */
  list(): ArchiveFile[] {
    const root = join(this.directory, this.topic);
    if (!existsSync(root)) return [];
    const partitions = readdirSync(root).filter((name) => /^[0-9]{4,9}$/.test(name));
    return partitions
      .toSorted((a, b) => Number(a) - Number(b))
      .flatMap((partition) =>
        readdirSync(join(root, partition))
          .toSorted()
          .flatMap((name) => {
            const { first, last } = NAME.exec(name)?.groups ?? {};
            if (first === undefined || last === undefined) return [];
            const path = `${this.topic}/${partition}/${name}`;
            return { partition: Number(partition), first: Number(first), last: Number(last), name: path };
          }),
      );
  }

  byPartition(): ReadonlyMap<number, readonly ArchiveFile[]> {
    return Map.groupBy(this.list(), ({ partition }) => partition);
  }

  /** When this returns, the whole file is on the disk. */
  write(partition: number, first: number, last: number, lines: readonly string[]): void {
    const directory = join(this.directory, this.topic, digits(partition, 4));
    withFile(directory, () => mkdirSync(directory, { recursive: true }));
    const path = join(directory, `${digits(first, 20)}-${digits(last, 20)}.jsonl.gz`);
    writeDurably(path, gzipSync(`${lines.join("\n")}\n`));
  }

  remove({ name }: ArchiveFile): void {
    rmSync(join(this.directory, name));
  }

  /**
   * Reads the file's records with one line in memory at a time, and calls `onWhole` after the last one. Throws
   * OPERATION_REFUSED where the file is missing, cut short or damaged, holds other records than its name says, or
   * decompresses to more than any archive has.
   */
  async *records(file: ArchiveFile, onWhole?: (sum: FileSum) => void): AsyncGenerator<ArchivedRecord> {
    const hash = createHash("sha256");
    const read = { bytes: 0 };
    let records = 0;
    let before = -1;
    try {
      this.#requireFile(file);
      for await (const line of linesOf(this.#text(file, hash, read), LINE_BYTES_MAX, FILE_TEXT_BYTES_MAX)) {
        const archived = parseArchiveLine(line, this.topic);
        const { offset } = archived.record;
        if (archived.partition !== file.partition || offset <= before) throw new Error(`offset ${offset} is misplaced`);
        if (records++ === 0 && offset !== file.first) throw new Error("its records are not those of its name");
        before = offset;
        yield archived;
      }
      if (before !== file.last) throw new Error("its records are not those of its name");
    } catch (e) {
      throw this.#unusable(file, e);
    }
    onWhole?.({ name: file.name, records, bytes: read.bytes, sha256: hash.digest("hex") });
  }

  /** Reads the file to its end. Throws as `records` does. */
  async sum(file: ArchiveFile): Promise<FileSum> {
    let found: FileSum | undefined;
    for await (const _ of this.records(file, (sum) => (found = sum)));
    return found as FileSum;
  }

  /** The SHA-256 of the file's bytes, whatever they are. Throws OPERATION_REFUSED where they cannot be read. */
  async sha256(file: ArchiveFile): Promise<string> {
    const hash = createHash("sha256");
    try {
      this.#requireFile(file);
      for await (const chunk of createReadStream(join(this.directory, file.name))) hash.update(chunk as Buffer);
    } catch (e) {
      throw this.#unusable(file, e);
    }
    return hash.digest("hex");
  }

  /** Syncs the file to the disk and closes it to other users, since another program may have written it. */
  secure({ name }: ArchiveFile): void {
    const path = join(this.directory, name);
    withFile(path, () => {
      const file = openSync(path, "r");
      try {
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
    });
    const modes = [
      [path, FILE_MODE] as const,
      ...[dirname(path), dirname(dirname(path))].map((one) => [one, DIRECTORY_MODE] as const),
    ];
    // A mode that is right is left alone: the archive may be on a disk that has become read-only.
    for (const [one, mode] of modes)
      withFile(one, () => {
        if ((statSync(one).mode & ANY_MODE) !== mode) chmodSync(one, mode);
      });
  }

  /** Anything but a file is refused before it is opened: opening a pipe would wait for a writer. */
  #requireFile({ name }: ArchiveFile): void {
    if (!statSync(join(this.directory, name)).isFile()) throw new Error("it is no file");
  }

  #unusable({ name }: ArchiveFile, e: unknown): AppError {
    const why = e instanceof Error ? e.message : String(e);
    return new AppError("OPERATION_REFUSED", `${join(this.directory, name)} cannot be used: ${why}.`, {}, e);
  }

  #text({ name }: ArchiveFile, hash: Hash, read: { bytes: number }): AsyncIterable<Buffer> {
    const file = createReadStream(join(this.directory, name));
    const text = createGunzip();
    file.on("data", (chunk) => {
      hash.update(chunk);
      read.bytes += chunk.length;
    });
    file.on("error", (e) => text.destroy(e));
    text.on("close", () => file.destroy());
    return file.pipe(text);
  }
}
