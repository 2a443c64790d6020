import type { Statement } from "bun:sqlite";
import type { StoreDatabase } from "../store-database.ts";
import { damagedRow } from "../store-failures.ts";
import type { BlockSpace } from "./block-space.ts";
import { Run, Segment, Slot } from "./run.ts";

/** The tables of the runs of that name. */
export const manifestSchema = (name: string): string => `
  CREATE TABLE ${name}_runs (run INTEGER PRIMARY KEY, age INTEGER NOT NULL, replaced INTEGER NOT NULL, merged_into INTEGER) STRICT;
  CREATE TABLE ${name}_segments (
    segment INTEGER PRIMARY KEY, run INTEGER NOT NULL, last_key INTEGER NOT NULL, records INTEGER NOT NULL,
    fences BLOB NOT NULL, blocks BLOB NOT NULL, checksums BLOB NOT NULL, filter BLOB, checksum INTEGER NOT NULL
  ) STRICT;`;

interface RunRow {
  readonly run: number;
  readonly age: number;
  readonly replaced: number;
  readonly merged_into: number | null;
}

interface SegmentRow {
  readonly segment: number;
  readonly run: number;
  readonly last_key: number;
  readonly records: number;
  readonly fences: Uint8Array;
  readonly blocks: Uint8Array;
  readonly checksums: Uint8Array;
  readonly filter: Uint8Array | null;
  readonly checksum: number;
}

/** What a change makes of the manifest. */
export interface ManifestChange {
  readonly runsAdded: readonly Run[];
  readonly runsDropped: readonly Run[];
  /** Runs that are there, of which other records are left to replace now. */
  readonly runsChanged: readonly Run[];
  /** The inputs of a merge that begins, and the number of the run that they become. */
  readonly merged: readonly { readonly run: Run; readonly into: number }[];
  readonly segmentsAdded: readonly { readonly segment: Segment; readonly run: number }[];
  readonly segmentsDropped: readonly Segment[];
}

/** In place of the number of the run that a run is merged into. */
const NOT_MERGED = -1;

/** The runs as SQLite has them: which there are, of which segments, and which are being merged. */
export class Manifest {
  readonly #addRun: Statement;
  readonly #dropRun: Statement;
  readonly #changeRun: Statement;
  readonly #mergeRun: Statement;
  readonly #addSegment: Statement;
  readonly #dropSegment: Statement;
  /** Of the rows of segments and runs. Those never change, but for what a run is merged into. */
  readonly #checksums = new WeakMap<Segment | Run, number>();
  #runs_max = 0;
  #segments_max = 0;

  constructor(
    private readonly db: StoreDatabase,
    private readonly name: string,
  ) {
    this.#addRun = db.query(`INSERT INTO ${name}_runs VALUES (?, ?, ?, NULL)`);
    this.#dropRun = db.query(`DELETE FROM ${name}_runs WHERE run = ?`);
    this.#changeRun = db.query(`UPDATE ${name}_runs SET replaced = ? WHERE run = ?`);
    this.#mergeRun = db.query(`UPDATE ${name}_runs SET merged_into = ? WHERE run = ?`);
    this.#addSegment = db.query(`INSERT INTO ${name}_segments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#dropSegment = db.query(`DELETE FROM ${name}_segments WHERE segment = ?`);
  }

  nextRun(): number {
    return ++this.#runs_max;
  }

  nextSegment(): number {
    return ++this.#segments_max;
  }

  /** Reads the slots, newest first, and takes the blocks that are live. */
  load(space: BlockSpace): Slot[] {
    const segments = this.#loadSegments();
    const rows = this.db
      .query<RunRow, []>(`SELECT run, age, replaced, merged_into FROM ${this.name}_runs ORDER BY age DESC, run DESC`)
      .all();
    this.#runs_max = rows.reduce((most, { run }) => Math.max(most, run), 0);
    const runs = new Map(rows.map(({ run, age, replaced }) => [run, new Run(run, age, segments.get(run) ?? [], replaced)]));
    const inputs = Map.groupBy(
      rows.filter(({ merged_into }) => merged_into !== null),
      ({ merged_into }) => merged_into as number,
    );
    const slots: Slot[] = [];
    for (const { run, merged_into } of rows) {
      if (merged_into !== null) continue;
      const from = (inputs.get(run) ?? []).map((input) => runs.get(input.run) as Run);
      slots.push(new Slot(runs.get(run) as Run, from));
    }
    for (const slot of slots) takeBlocks(slot, space);
    return slots;
  }

  /** Writes the change, in the caller's transaction. */
  record(change: ManifestChange): void {
    for (const { id, age, replaced } of change.runsAdded) this.#addRun.run(id, age, replaced);
    for (const { id, replaced } of change.runsChanged) this.#changeRun.run(replaced, id);
    for (const { run, into } of change.merged) this.#mergeRun.run(into, run.id);
    for (const { id } of change.segmentsDropped) this.#dropSegment.run(id);
    for (const { id } of change.runsDropped) this.#dropRun.run(id);
    for (const { segment, run } of change.segmentsAdded) {
      const { id, lastKey, records, filter } = segment;
      const blobs = [segment.fences, segment.blocks, segment.checksums].map(bytesOf);
      const filterBlob = filter === undefined ? null : bytesOf(filter);
      const checksum = checksumOf([id, run, lastKey, records], [...blobs, filterBlob]);
      this.#checksums.set(segment, checksum);
      this.#addSegment.run(id, run, lastKey, records, ...blobs, filterBlob, checksum);
    }
  }

  /**
   * A checksum of the rows that these slots are, once they are recorded: it shows a row that is gone, or an older one
   * that is back, as well as one that is changed.
   */
  checksum(slots: readonly Slot[]): number {
    let sum = 0;
    for (const { run, inputs } of slots) {
      sum += this.#checksumOf(run, NOT_MERGED);
      for (const input of inputs) sum += this.#checksumOf(input, run.id);
    }
    return sum % 2 ** 32;
  }

  #checksumOf(run: Run, mergedInto: number): number {
    let checksum = this.#checksums.get(run);
    if (checksum === undefined) {
      const numbers = [run.id, run.age, run.replaced];
      for (const segment of run.segments) numbers.push(segment.id, this.#checksums.get(segment) ?? 0);
      checksum = checksumOf(numbers, []);
      this.#checksums.set(run, checksum);
    }
    return mergedInto === NOT_MERGED ? checksum : Bun.hash.crc32(`${mergedInto}`, checksum);
  }

  #loadSegments(): Map<number, Segment[]> {
    const segments = new Map<number, Segment[]>();
    for (const row of this.db.query<SegmentRow, []>(`SELECT * FROM ${this.name}_segments ORDER BY segment`).iterate()) {
      const { segment, run, last_key, records, fences, blocks, checksums, filter } = row;
      const blobs = [fences, blocks, checksums, filter];
      // A row that is damaged may have anything in its columns.
      const isWhole = blobs.every((blob) => typeof blob === "object");
      if (!isWhole || checksumOf([segment, run, last_key, records], blobs) !== row.checksum)
        throw damagedRow(`Segment ${segment} of the runs ${this.name}`, "Its checksum is another.");
      const made = new Segment(
        segment,
        last_key,
        records,
        new Float64Array(bufferOf(fences)),
        new Uint32Array(bufferOf(blocks)),
        new Uint32Array(bufferOf(checksums)),
        filter === null ? undefined : new Int32Array(bufferOf(filter)),
      );
      this.#checksums.set(made, row.checksum);
      const ofRun = segments.get(run);
      if (ofRun === undefined) segments.set(run, [made]);
      else ofRun.push(made);
      this.#segments_max = segment;
    }
    return segments;
  }
}

function takeBlocks({ run, inputs, frontier }: Slot, space: BlockSpace): void {
  const take = (segment: Segment, from: number): void => {
    for (let n = from; n < segment.blocks.length; n++)
      if (!space.takeAt(segment.blocks[n] as number))
        throw damagedRow(`Segment ${segment.id} of the runs`, `Block ${segment.blocks[n]} is another segment's, too.`);
  };
  for (const segment of run.segments) take(segment, 0);
  for (const input of inputs) for (const segment of input.segments) take(segment, segment.blocksBehind(frontier));
}

const bytesOf = ({ buffer, byteOffset, byteLength }: NodeJS.TypedArray): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** The bytes in memory of their own, as aligned as any kind of number needs. */
const bufferOf = ({ buffer, byteOffset, byteLength }: Uint8Array): ArrayBuffer =>
  buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer;

function checksumOf(numbers: readonly number[], blobs: readonly (Uint8Array | null)[]): number {
  let checksum = Bun.hash.crc32(bytesOf(new Float64Array(numbers)));
  for (const blob of blobs) if (blob !== null) checksum = Bun.hash.crc32(blob, checksum);
  return checksum;
}
