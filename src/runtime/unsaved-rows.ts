import type { Saving } from "./projection.ts";

/** How a projection's rows are read from its tables, and written to them. A row is a value: another one takes its place. */
export interface RowAccess<Key, Row> {
  readonly read: (key: Key) => Row | undefined;
  /** Called inside the transaction that moves the offset. */
  readonly write: (key: Key, row: Row) => void;
}

/**
 * The rows of a projection that are not saved yet, over those in its tables: what most projections need to be a `Fold`.
 *
 * ```
 *  set() ──keep()──▶ kept: `get` returns it ──save()──▶ being saved ──committed()──▶ in the table
 *    └──reset()──▶ forgotten                    ▲             └─abandoned()─▶ kept
 * ```
 */
export class UnsavedRows<Key, Row> {
  readonly #folded = new Map<Key, Row>();
  #kept = new Map<Key, Row>();
  #saving = new Map<Key, Row>();

  constructor(private readonly access: RowAccess<Key, Row>) {}

  /** The row with everything that was folded, for the fold. */
  folded(key: Key): Row | undefined {
    return this.#folded.get(key) ?? this.get(key);
  }

  set(key: Key, row: Row): void {
    this.#folded.set(key, row);
  }

  /** The row with everything that is kept, for queries. */
  get(key: Key): Row | undefined {
    return this.#kept.get(key) ?? this.#saving.get(key) ?? this.access.read(key);
  }

  /** The rows that the table lacks, for queries that read more of it than one row. */
  unsaved(): Map<Key, Row> {
    return new Map([...this.#saving, ...this.#kept]);
  }

  /** How many rows are kept and not saved. */
  get count(): number {
    return this.#kept.size;
  }

  keep(): void {
    for (const [key, row] of this.#folded) this.#kept.set(key, row);
    this.#folded.clear();
  }

  reset(): void {
    this.#folded.clear();
  }

  save(): Saving {
    this.#saving = this.#kept;
    this.#kept = new Map();
    return {
      write: () => {
        for (const [key, row] of this.#saving) this.access.write(key, row);
      },
      committed: () => void (this.#saving = new Map()),
      abandoned: () => {
        this.#kept = this.unsaved();
        this.#saving = new Map();
      },
    };
  }
}
