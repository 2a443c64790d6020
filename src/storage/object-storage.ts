/** One object, as a listing tells of it. */
export interface StoredObject {
  readonly name: string;
  readonly bytes: number;
  /** When it was put, on the storage's wall clock. */
  readonly modified_ms: number;
}

/**
 * Bytes by name, outside the machine's state: a directory or a bucket. Names are paths with slashes, without one at
 * their beginning. Each call rejects with STORAGE_FAILED where the storage cannot be reached or refuses; nothing is
 * retried here but what the adapter says.
 */
export interface ObjectStorage {
  /** What it is called in messages: its URL, without a secret. */
  readonly url: string;
  /** The objects whose names begin with the prefix, in no certain order. */
  list(prefix: string): Promise<readonly StoredObject[]>;
  /** Puts an object, whole: a reader sees all of it, or nothing, also after a crash or a power cut. */
  put(name: string, bytes: Uint8Array): Promise<void>;
  /** The object's bytes; undefined if there is none. Rejects if there are more than `bytes_max`. */
  get(name: string, bytes_max: number): Promise<Uint8Array | undefined>;
  /** Removes the object; it need not be there. */
  remove(name: string): Promise<void>;
}

/** A listing of more objects is not read to its end. */
export const LISTED_OBJECTS_MAX = 1_000_000;
