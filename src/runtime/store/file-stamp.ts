import type { Statement } from "bun:sqlite";
import type { ByteFile } from "./byte-file.ts";
import type { Piece } from "./copy/held-store.ts";
import { Generation, keepsGenerations } from "./position/position-table.ts";
import type { StoreDatabase } from "./store-database.ts";
import { damagedStore } from "./store-failures.ts";
import type { ByteFileName, StoreFiles } from "./store-files.ts";

const PLACE_BYTES = 16;
/** How much newer a file may be: one saving that did not come to its commit, and one whose commit a power cut took back. */
const AHEAD_MAX = 2;
/** How many bytes of its file a stamp takes. */
export const STAMP_BYTES = 2 * PLACE_BYTES;

/**
 * The store's generation as a file beside the database has it, so that files which do not belong together are noticed:
 * an older database beside newer files, or the other way round. It is in the file before it is in the database, so the
 * file's is the database's, or one or two more after a crash. The identity says which store the file is of, so that
 * another partition's is noticed; 0 in a file from before it was kept.
 *
 * ```
 *  0             8          12         16                                   32
 *  ├─────────────┼──────────┼──────────┼────────────────────────────────────┤
 *  │generation   │CRC-32    │identity, │the same, for odd generations       │
 *  │f64, even    │of it, u32│u32       │                                    │
 *  └─────────────┴──────────┴──────────┴────────────────────────────────────┘
 * ```
 * Two places are used in turn, little-endian: a write that is torn leaves the one before it.
 */
export class FileStamp {
  readonly #bytes = Buffer.alloc(STAMP_BYTES);
  readonly #at: number;
  readonly #generation: Generation | undefined;
  readonly #record: Statement | undefined;
  readonly #identity: number;

  /**
   * `take` is given where in the file the stamp is, in bytes, or takes `STAMP_BYTES` for it that nothing else uses.
   * Throws an error of damage if the file is another store's, older than the database, or too much newer.
   */
  constructor(
    { db, identity = UNKNOWN }: Pick<StoreFiles, "db" | "identity">,
    private readonly file: ByteFile,
    private readonly name: ByteFileName,
    take: (at: number | undefined) => number,
  ) {
    this.#identity = identity;
    // An older store that is only read keeps none.
    const generation = keepsGenerations(db) ? new Generation(db) : undefined;
    const at = generation && stampAt(db, name);
    if (generation) this.#require(at, generation.read());
    this.#at = take(at);
    this.#generation = generation;
    this.#record = generation && db.query("INSERT OR IGNORE INTO stamps VALUES (?, ?)");
  }

  /** Writes the generation that the next commit has; to be synced with the rest. Throws if the file does. */
  write(): void {
    const bytes = this.#bytes;
    const generation = (this.#generation?.read() ?? 0) + 1;
    const place = (generation % 2) * PLACE_BYTES;
    bytes.fill(0);
    bytes.writeDoubleLE(generation, place);
    bytes.writeUInt32LE(checksumIn(bytes, place), place + 8);
    bytes.writeUInt32LE(this.#identity, place + 12);
    // The first time, what was there before does not count.
    if (generation === 1) this.file.write(bytes, 0, STAMP_BYTES, this.#at);
    else this.file.write(bytes, place, PLACE_BYTES, this.#at + place);
  }

  /** The stamp as it is in the file now. */
  piece(): Piece {
    const bytes = Buffer.alloc(STAMP_BYTES);
    this.file.read(bytes, 0, STAMP_BYTES, this.#at);
    return { at: this.#at, bytes };
  }

  /** Notes in the caller's transaction where the stamp is. */
  record(): void {
    this.#record?.run(this.name, this.#at);
  }

  #require(at: number | undefined, generation: number): void {
    if (generation === 0) return;
    const found = at !== undefined && Number.isSafeInteger(at) ? this.#read(at) : undefined;
    if (found && isOther(found.identity, this.#identity))
      throw damagedStore(`The file of the store's ${this.name} is another store's, as one of another partition`);
    if (found && found.generation >= generation && found.generation <= generation + AHEAD_MAX) return;
    const is = found === undefined ? "has no generation" : `is of generation ${found.generation}`;
    throw damagedStore(`The store's database is of generation ${generation}, and the file of its ${this.name} ${is}`);
  }

  /** The newest that is whole. */
  #read(at: number): { readonly generation: number; readonly identity: number } | undefined {
    const bytes = this.#bytes.fill(0);
    this.file.read(bytes, 0, STAMP_BYTES, at);
    const whole = [0, PLACE_BYTES].filter((place) => bytes.readUInt32LE(place + 8) === checksumIn(bytes, place));
    const stamps = whole.map((place) => ({ generation: bytes.readDoubleLE(place), identity: bytes.readUInt32LE(place + 12) }));
    return stamps.toSorted((a, b) => b.generation - a.generation)[0];
  }
}

/** In a file from before identities were kept, and where it is not known which store is read. */
const UNKNOWN = 0;
const isOther = (found: number, identity: number): boolean => found !== identity && found !== UNKNOWN && identity !== UNKNOWN;

const stampAt = (db: StoreDatabase, name: ByteFileName): number | undefined =>
  db.query<{ at: number }, [string]>("SELECT at FROM stamps WHERE file = ?").get(name)?.at;

const checksumIn = (bytes: Buffer, place: number): number => Bun.hash.crc32(bytes.subarray(place, place + 8));
