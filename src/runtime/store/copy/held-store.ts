import type { PinnedDatabase } from "./pinned-database.ts";
import type { ByteFileName } from "../store-files.ts";

/** Some bytes of a file, good until the next piece is asked for. */
export interface Piece {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** The bytes beside a database that its rows refer to, kept as they are while the store goes on. */
export interface HeldBytes {
  /** What counts of each file. Throws an error of damage where something is not what was written there. */
  readonly files: ReadonlyMap<ByteFileName, () => Iterable<Piece>>;
  /** About how many bytes there are. */
  readonly bytes: number;
  /** Whether too much changed meanwhile, so that what is read may be of a later time. */
  readonly isBroken: boolean;
  release(): void;
}

export const NO_BYTES: HeldBytes = { files: new Map(), bytes: 0, isBroken: false, release: () => undefined };

/** A store as it was last saved: the rows of its database and the bytes beside it. */
export interface HeldStore {
  readonly database: PinnedDatabase;
  readonly held: HeldBytes;
  /** The digest of those rows, if one is kept. */
  readonly digest: string | undefined;
  release(): void;
}
