import { createHash } from "node:crypto";
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { AppError } from "../errors.ts";
import { type ArchivedRecord, parseArchiveLine } from "./archive-line.ts";
import { writeDurably } from "./write-durably.ts";

/** A file of an archive, by the offsets of its first and its last record. */
export interface ArchiveFile {
  readonly partition: number;
  readonly first: number;
  readonly last: number;
  /** Under the archive's directory. */
  readonly name: string;
}

/** What a manifest says of a file, so that a restore can tell that it has all of it. */
export interface FileSum {
  readonly name: string;
  readonly records: number;
  readonly bytes: number;
  readonly sha256: string;
}

const NAME = /^(?<first>[0-9]{20})-(?<last>[0-9]{20})\.jsonl\.gz$/;
const digits = (n: number, width: number): string => String(n).padStart(width, "0");

/** The files of one topic's archive: `<directory>/<topic>/<partition>/<first offset>-<last>.jsonl.gz`, as pipelines/archive.yaml names them. */
export class ArchiveFiles {
  constructor(
    readonly directory: string,
    readonly topic: string,
  ) {}

  /** By partition, and in it by offset. */
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

  /** Whole, and on the disk, when this returns. */
  write(partition: number, first: number, last: number, lines: readonly string[]): void {
    const directory = join(this.directory, this.topic, digits(partition, 4));
    mkdirSync(directory, { recursive: true });
    const path = join(directory, `${digits(first, 20)}-${digits(last, 20)}.jsonl.gz`);
    writeDurably(path, gzipSync(`${lines.join("\n")}\n`));
  }

  remove({ name }: ArchiveFile): void {
    rmSync(join(this.directory, name));
  }

  /** Throws OPERATION_REFUSED where the file is missing, cut short or damaged, or holds other records than its name says. */
  read({ partition, first, last, name }: ArchiveFile): { readonly sum: FileSum; readonly records: ArchivedRecord[] } {
    try {
      const bytes = readFileSync(join(this.directory, name));
      const text = gunzipSync(bytes).toString();
      if (!text.endsWith("\n")) throw new Error("its last line is cut short");
      const records = text
        .slice(0, -1)
        .split("\n")
        .map((line) => parseArchiveLine(line, this.topic));
      let before = -1;
      for (const { partition: of, record } of records) {
        if (of !== partition || record.offset <= before) throw new Error(`offset ${record.offset} is misplaced`);
        before = record.offset;
      }
      if (records[0]?.record.offset !== first || before !== last) throw new Error("its records are not those of its name");
      const sha256 = createHash("sha256").update(bytes).digest("hex");
      return { sum: { name, records: records.length, bytes: bytes.length, sha256 }, records };
    } catch (e) {
      throw new AppError(
        "OPERATION_REFUSED",
        `${join(this.directory, name)} cannot be used: ${e instanceof Error ? e.message : String(e)}.`,
        {},
        e,
      );
    }
  }

  /** What a program that was killed wrote last may not be on the disk yet. */
  sync({ name }: ArchiveFile): void {
    const file = openSync(join(this.directory, name), "r");
    fsyncSync(file);
    closeSync(file);
  }
}
