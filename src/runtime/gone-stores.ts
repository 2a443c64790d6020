import type { Clock } from "../system/clock.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Actors } from "./actors.ts";
import { STORES_GONE, type TopicWarning } from "./held-partitions.ts";
import { Outage } from "./read/outage.ts";
import type { State } from "./store/state-dir.ts";

/** How often is looked: a look costs a stat of each store that is open. */
export const GONE_LOOKS_APART_MS = 3_000;

export interface GoneStoresOptions {
  /** See `PartitionStoresOptions`. */
  readonly prefix: string;
  readonly topic: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface OpenedStore {
  readonly name: string;
  /** See `State.fileId`. */
  readonly fileId: number | undefined;
}

/**
 * Notices that the files of open stores are gone from the disk, which nothing else shows: the process goes on in files
 * that have no name, and they end with it.
 */
export class GoneStores {
  /** By partition, the store that was opened last. */
  readonly #opened = new Map<number, OpenedStore>();
  readonly #outage: Outage;
  #lookedAt_ms: number;

  constructor(private readonly options: GoneStoresOptions) {
    const { clock, logger, prefix } = options;
    this.#lookedAt_ms = clock.now_ms();
    const onMessage = (message: string, isOver: boolean) => logger[isOver ? "info" : "error"](prefix + message);
    this.#outage = new Outage("Finding the files of the open stores", clock, onMessage, "STORE_FAILED");
  }

  get isDue(): boolean {
    return this.options.clock.now_ms() - this.#lookedAt_ms >= GONE_LOOKS_APART_MS;
  }

  get warning(): TopicWarning | undefined {
    const gone = this.#outage.failure(0);
    if (gone === undefined) return undefined;
    const since = new Date(gone.since_ms).toISOString();
    return { topic: this.options.topic, code: STORES_GONE, detail: gone.sentence, since };
  }

  /** Notes which file the partition's store is in, right after it was opened. */
  opened(state: State, partition: number, name: string): void {
    this.#opened.set(partition, { name, fileId: fileIdOf(state, name) });
  }

  /** What cannot be looked at is not known to be gone. */
  look(state: State, actors: Actors): void {
    this.#lookedAt_ms = this.options.clock.now_ms();
    const open = [...actors.values()].flatMap(({ partition, hasStore }) => (hasStore && this.#opened.get(partition)) || []);
    const gone = open.filter(({ name, fileId }) => fileId !== undefined && isElsewhere(state, name, fileId));
    if (gone.length > 0) this.#outage.failed(whatIsGone(gone.map(({ name }) => state.path(name))));
    else this.#outage.worked();
  }

  /** Says once more, when the process has closed its stores, that they are lost. */
  tellLost(): void {
    const { logger, prefix } = this.options;
    if (!this.#outage.isUnderWay) return;
    logger.error(
      `${prefix}STORE_FAILED: This process stops, and what was applied in its stores is lost with it, as their files are gone. The next start makes the state anew from a snapshot or the log, as far as those have it.`,
    );
  }
}

const isElsewhere = (state: State, name: string, fileId: number): boolean => {
  try {
    return state.fileId(name) !== fileId;
  } catch {
    return false;
  }
};

const fileIdOf = (state: State, name: string): number | undefined => {
  try {
    return state.fileId(name);
  } catch {
    return undefined;
  }
};

function whatIsGone([first, ...more]: readonly string[]): string {
  const which = more.length === 0 ? `${first} was` : `${first} and ${more.length} more were`;
  return `${which} removed or replaced. What is applied there lives only as long as this process, and no snapshot of it can be taken any more. Where the log has lost its first records and neither a standby nor a snapshot has them, do not stop this process before you have copied the files that it has open (docs/operating.md says how). Otherwise restart it: the state is made anew from the log.`;
}
