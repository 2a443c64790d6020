/**
 * Mistakes in src, each given as a change of its text. `plant.ts` makes one of them while a file is loaded, and the
 * simulator must find it: that is how we know that the simulator can fail.
 */
interface Change {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** The invariants of docs/ARCHITECTURE.md. */
export const INVARIANTS = ["I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I10"] as const;

export interface PlantedBug extends Change {
  readonly breaks: (typeof INVARIANTS)[number];
  /** Further changes, if a second guard would catch what the first one lets through. */
  readonly also?: readonly Change[];
}

/** Before a 404 the log is asked where it ends, which mends most of what would make it a false one. */
export const WITHOUT_THE_LOGS_END: Change = {
  file: "src/services/orders/query/order-search.ts",
  find: "absent.length > 0 ? await",
  replace: "absent.length < 0 ? await",
};

export type PlantedBugs = Readonly<Record<string, PlantedBug>>;
