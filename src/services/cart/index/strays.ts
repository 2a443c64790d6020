import { hashOf, type Partitioner } from "../../../log/partitioner.ts";
import { orderIdOf, type OrderName } from "../../../orders/order-key.ts";
import type { StoreDatabase } from "../../../runtime/store/store-database.ts";
import { damagedRow } from "../../../runtime/store/store-failures.ts";

export const STRAYS_SCHEMA = `CREATE TABLE strays (
      one INTEGER PRIMARY KEY CHECK (one = 1), told TEXT NOT NULL
    ) STRICT;`;

/** Where programs put creates. */
export interface Placing {
  readonly partitioner: Partitioner;
  /** How many partitions the topic has, as far as is known. */
  readonly partitionCount: () => number;
}

/**
 * The partition counts by which a partition's orders were put there: by one of them at least, each order belongs there.
 * Undefined: there are orders of which that is not known.
 */
export type PlacedBy = readonly number[] | undefined;

/** Whether the partition may have an order, whose id has that hash, if its orders were put there by these counts. */
export function mayHave(placedBy: PlacedBy, partition: number, hash: number): boolean {
  if (placedBy === undefined) return true;
  for (const count of placedBy) if (hash % count === partition) return true;
  return false;
}

interface Told {
  readonly counts: readonly number[] | null;
  readonly candidates: readonly number[];
}

/** A topic to which partitions were added more often than that has its orders looked for everywhere. */
const COUNTS_MAX = 4;

/**
 * By which partition counts a partition's orders were put there, so that an order which belongs elsewhere is looked for
 * only where it may have strayed to: partitions were added since, or another program has another partitioner.
 *
 * An index that reads the topic anew hears of the newest count alone. What that does not explain, an earlier one must;
 * those that would explain all of it are the candidates, which become fewer with each such order.
 *
 * ```
 *  no creates ──note()──▶ known counts ──an order that none explains──▶ … and candidates ──none left──▶ one count more
 *                                              too many counts, or no candidates ──▶ not known, for good
 * ```
 */
export class Strays {
  /** Undefined: not known. */
  #counts: readonly number[] | undefined = [];
  /** Each of them explains every order that the counts do not; in ascending order. */
  #candidates: readonly number[] = [];
  #placedBy: PlacedBy = [];
  #written: string | undefined;

  constructor(private readonly db: StoreDatabase) {
    const row = db.query<{ told: unknown }, []>("SELECT told FROM strays").get();
    if (row === null) return;
    this.#written = String(row.told);
    try {
      const { counts, candidates } = JSON.parse(this.#written) as Told;
      this.#set(counts ?? undefined, candidates);
    } catch (e) {
      throw damagedRow("what the index tells of partition counts", e);
    }
  }

  get placedBy(): PlacedBy {
    return this.#placedBy;
  }

  /** Of what is written. By a wrong count, an order would not be looked for where it is (I8). */
  get checksum(): number {
    return this.#written === undefined ? 0 : Bun.hash.crc32(this.#written);
  }

  /** Notes a create in the partition. One that is not kept in the end does no harm. */
  note(name: OrderName, partition: number, { partitioner, partitionCount }: Placing): void {
    const counts = this.#counts;
    if (counts === undefined) return;
    const hash = hashOf(partitioner, orderIdOf(name));
    const usual = counts[0];
    if (usual !== undefined && hash % usual === partition) return;
    const newest = partitionCount();
    if (newest === 0) return this.#set(undefined, []);
    const belongsBy = (count: number): boolean => hash % count === partition;
    if (counts.some(belongsBy)) return;
    if (belongsBy(newest)) return this.#add(newest, this.#candidates);
    const candidates = this.#candidates.filter(belongsBy);
    if (candidates.length === 0) return this.#addCandidates(newest, belongsBy);
    if (candidates.length < this.#candidates.length) this.#set(counts, candidates);
  }

  /** Writes what was noted, in the transaction of a saving. */
  write(): void {
    this.#written = JSON.stringify({ counts: this.#counts ?? null, candidates: this.#candidates } satisfies Told);
    this.db.run("INSERT OR REPLACE INTO strays VALUES (1, ?)", [this.#written]);
  }

  /** Takes the earlier counts by which an order belongs here that nothing else explains. */
  #addCandidates(newest: number, belongsBy: (count: number) => boolean): void {
    // By a single partition every order belongs to it, which says nothing.
    const earlier = Array.from({ length: Math.max(0, newest - 2) }, (_, n) => n + 2).filter(belongsBy);
    const chosen = this.#candidates.at(-1);
    if (earlier.length === 0) this.#set(undefined, []);
    else if (chosen === undefined) this.#set(this.#counts, earlier);
    else this.#add(chosen, earlier);
  }

  #add(count: number, candidates: readonly number[]): void {
    const counts = [count, ...(this.#counts ?? [])];
    if (counts.length > COUNTS_MAX) this.#set(undefined, []);
    else this.#set(counts, candidates);
  }

  #set(counts: readonly number[] | undefined, candidates: readonly number[]): void {
    this.#counts = counts;
    this.#candidates = candidates;
    // Of the candidates, by the largest one the fewest orders belong here.
    const chosen = candidates.at(-1);
    this.#placedBy = counts && chosen !== undefined ? [...counts, chosen] : counts;
  }
}
