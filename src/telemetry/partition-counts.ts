import { RECORD_COUNTS } from "../orders/outcomes.ts";

/** What is counted for each partition. */
export interface PartitionCounts {
  readonly outcomes: Record<string, number>;
  storeOutages: number;
  storesSetAside: number;
  deadLettersAppended: number;
  deadLettersCut: number;
  newStores: number;
  recordsUnsaved: number;
}

/** The counters of partitions' stores: name, help and value. */
export const STORE_COUNTERS: readonly (readonly [name: string, help: string, value: (counts: PartitionCounts) => number])[] = [
  [
    "orders_store_outages_total",
    "Times that a partition's store stopped taking transactions.",
    ({ storeOutages }) => storeOutages,
  ],
  [
    "orders_stores_set_aside_total",
    "Stores that could not be used, as they were damaged or another's, and were set aside; not those that an operator had rebuilt.",
    ({ storesSetAside }) => storesSetAside,
  ],
  [
    "orders_new_stores_total",
    "Stores that were opened without any state: all records are read from the log's start.",
    ({ newStores }) => newStores,
  ],
  [
    "orders_records_unsaved_total",
    "Records that had been applied and not saved when a store was opened again; they are read again.",
    ({ recordsUnsaved }) => recordsUnsaved,
  ],
];

export class CountsByPartition {
  readonly #counts = new Map<number, PartitionCounts>();

  /** A partition's counts. They start at 0 with the first scrape, so that the first one counted shows as an increase. */
  of(partition: number): PartitionCounts {
    let counts = this.#counts.get(partition);
    if (!counts) {
      const outcomes = Object.fromEntries(RECORD_COUNTS.map((outcome) => [outcome, 0]));
      counts = {
        outcomes,
        storeOutages: 0,
        storesSetAside: 0,
        deadLettersAppended: 0,
        deadLettersCut: 0,
        newStores: 0,
        recordsUnsaved: 0,
      };
      this.#counts.set(partition, counts);
    }
    return counts;
  }

  all(): Iterable<[partition: number, counts: PartitionCounts]> {
    return this.#counts;
  }
}
