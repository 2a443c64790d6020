import { AppError } from "../../errors.ts";
import type { StoreKind } from "../projections.ts";
import type { LastRecord } from "../store/position/last-record.ts";
import { BYTE_FILE_NAMES, type ByteFileName } from "../store/store-files.ts";
import { sha256Of } from "./part-uploads.ts";

/** Raised with every change of what is in the objects. A program reads the versions up to its own. */
export const FORMAT_VERSION = 1;

/** What a part has: rows of the database, or pieces of a file beside it. */
export type PartContent = "rows" | ByteFileName;

/** One object of a snapshot. */
export interface SnapshotPart {
  /** The object's name, within the snapshot. */
  readonly name: string;
  readonly content: PartContent;
  /** Compressed, as it is stored. */
  readonly bytes: number;
  readonly bytes_raw: number;
  /** Of the bytes as they are stored. */
  readonly sha256: string;
}

/** How far one partition is in a snapshot. */
export interface SnapshotPosition {
  readonly partition: number;
  readonly nextOffset: number;
  /** The first offset that was folded. */
  readonly firstOffset: number;
  readonly topicId: string | undefined;
  /** The last record applied. The log must have the same one, as after a restart (I7). */
  readonly last: LastRecord | undefined;
}

/** Which store a snapshot is of, whoever took it. */
export interface SnapshotSubject {
  readonly logId: string;
  readonly topic: string;
  readonly partition: number;
  readonly kind: StoreKind;
}

/** Everything that is told of a snapshot. It is written last, so a snapshot without one is none. */
export interface SnapshotManifest extends SnapshotSubject {
  readonly format: number;
  readonly taken_ms: number;
  readonly positions: readonly SnapshotPosition[];
  /** The digest of the rows, if one is kept. */
  readonly digest: string | undefined;
  readonly parts: readonly SnapshotPart[];
}

/** How much goes into a part, raw, unless a single row is longer. */
export const PART_BYTES = 2 << 20;
/** The largest part, raw. */
const PART_BYTES_MAX = 16 << 20;
/** What compression may add to bytes that cannot be compressed. */
export const STORED_BYTES_MAX = PART_BYTES_MAX + (PART_BYTES_MAX >> 6);
/** Some 30,000 parts, 60 GB. */
export const MANIFEST_BYTES_MAX = 8 << 20;
const PARTS_MAX = 30_000;

export const MANIFEST_NAME = "manifest.json";

/** How far a snapshot is: the sum of its positions, so that of two of one store the later one has more. */
export const reach = ({ positions }: Pick<SnapshotManifest, "positions">): number =>
  positions.reduce((sum, { nextOffset }) => sum + nextOffset, 0);

export const snapshotBytes = ({ parts }: Pick<SnapshotManifest, "parts">): number =>
  parts.reduce((sum, { bytes }) => sum + bytes, 0);

/** The manifest as it is stored: its text, with the checksum of that without it. */
export const writeManifest = (manifest: SnapshotManifest): Uint8Array =>
  Buffer.from(`${textOf({ ...manifest, sha256: checksumOf(manifest) })}\n`);

const textOf = (manifest: object): string => JSON.stringify(manifest, null, 1);

const checksumOf = (manifest: object): string => sha256Of(Buffer.from(textOf(manifest)));

/** Throws SNAPSHOT_UNUSABLE unless the bytes are a manifest of a version that this program reads. */
export function readManifest(name: string, bytes: Uint8Array): SnapshotManifest {
  let found: unknown;
  try {
    found = JSON.parse(Buffer.from(bytes).toString());
  } catch {
    throw unusable(name, "its manifest is no JSON");
  }
  const { sha256, ...manifest } = (found ?? {}) as Partial<SnapshotManifest> & { readonly sha256?: unknown };
  if (typeof manifest.format === "number" && manifest.format > FORMAT_VERSION)
    throw unusable(name, `its format is ${manifest.format}, and this program reads formats up to ${FORMAT_VERSION}`);
  // A manifest of an earlier version has none.
  if (sha256 !== undefined && sha256 !== checksumOf(manifest)) throw unusable(name, "the checksum of its manifest is another");
  if (!isManifest(manifest)) throw unusable(name, "its manifest lacks what each has");
  return manifest;
}

export const unusable = (name: string, why: string): AppError =>
  new AppError("SNAPSHOT_UNUSABLE", `The snapshot ${name} cannot be used: ${why}.`);

const isCount = (value: unknown): value is number => typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
const isText = (value: unknown): value is string => typeof value === "string";
const isTextOrNone = (value: unknown): boolean => value === undefined || isText(value);

const isManifest = (found: Partial<SnapshotManifest>): found is SnapshotManifest =>
  found.format === FORMAT_VERSION &&
  isText(found.logId) &&
  isText(found.topic) &&
  isCount(found.partition) &&
  isText(found.kind?.name) &&
  isCount(found.kind.version) &&
  isCount(found.taken_ms) &&
  isTextOrNone(found.digest) &&
  Array.isArray(found.positions) &&
  found.positions.length > 0 &&
  found.positions.every(isPosition) &&
  Array.isArray(found.parts) &&
  found.parts.length <= PARTS_MAX &&
  found.parts.every(isPart);

const isPosition = (found: Partial<SnapshotPosition> | null): boolean =>
  isCount(found?.partition) &&
  isCount(found.nextOffset) &&
  isCount(found.firstOffset) &&
  isTextOrNone(found.topicId) &&
  (found.last === undefined || (isCount(found.last.offset) && isCount(found.last.checksum)));

const isPart = (found: Partial<SnapshotPart> | null): boolean =>
  isText(found?.name) &&
  /^[0-9]{6}$/.test(found.name) &&
  isCount(found.bytes) &&
  found.bytes <= STORED_BYTES_MAX &&
  isCount(found.bytes_raw) &&
  found.bytes_raw <= PART_BYTES_MAX &&
  /^[0-9a-f]{64}$/.test(String(found.sha256)) &&
  (found.content === "rows" || BYTE_FILE_NAMES.includes(found.content as ByteFileName));
