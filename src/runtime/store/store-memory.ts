import { RunsMemory } from "./runs/runs-memory.ts";

/** How many rows the stores of a process keep in memory after they are saved. An order's takes about 500 bytes. */
const CACHED_ROWS_MAX = 32_768;

/** What the stores of a process share, so that their number does not multiply what they take. */
export class StoreMemory {
  /** What runs are read and merged with. */
  readonly runs = new RunsMemory();
  /** How many rows are in memory, saved or not. */
  cachedRows = 0;

  constructor(readonly cachedRows_max = CACHED_ROWS_MAX) {}

  /** Whether a store should forget rows that are saved. */
  get isFull(): boolean {
    return this.cachedRows > this.cachedRows_max;
  }
}
