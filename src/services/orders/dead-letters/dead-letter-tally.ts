import { DEAD_LETTER_HEADERS } from "../../../log/record-headers.ts";
import type { DeadLetterCounts } from "../live/live-figures.ts";
import type { LogScan, LogScans } from "../query/log-scan.ts";
import { HeaderTexts, letterReason } from "../history/header-texts.ts";

/** How many letters one `read` counts at most. */
const TALLY_RECORDS_MAX = 20_000;
/** Another program could write any number of reasons; beyond this many, they are counted as `other`. */
const REASONS_MAX = 32;

/**
 * Counts the letters of the dead-letter topic. Each `read` continues where the last one stopped.
 *
 * ```
 *  counting ──all partitions read to their ends──▶ complete ──more letters──▶ counting
 * ```
 */
export class DeadLetterTally {
  readonly #positions = new Map<number, number>();
  readonly #ofPartition = new Map<number, number>();
  readonly #ofReason = new Map<string, number>();
  #letters = 0;
  #isComplete = false;
  #isReading = false;

  constructor(
    private readonly scans: LogScans,
    private readonly topic: string,
    private readonly deadLetterTopic: string,
  ) {}

  get counts(): DeadLetterCounts {
    return { letters: this.#letters, byReason: Object.fromEntries(this.#ofReason), isComplete: this.#isComplete };
  }

  /** How many of the letters came from the partition. */
  ofPartition(partition: number): number {
    return this.#ofPartition.get(partition) ?? 0;
  }

  /** Counts more letters, one call at a time. If the log cannot be read now, the counts stay as they are. */
  async read(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      const ends = await this.scans.ends(this.deadLetterTopic);
      const known = [...ends.entries()].flatMap(([partition, each]) => ("unavailable" in each ? [] : { partition, ...each }));
      const behind = known.filter(({ partition, endOffset }) => endOffset > this.#positionOf(partition));
      if (behind.length > 0) this.#isComplete = false;
      let left = TALLY_RECORDS_MAX;
      for (const { partition, startOffset, endOffset } of behind) {
        if (left <= 0) return;
        const from = Math.max(startOffset, this.#positionOf(partition));
        left -= await this.scans.run(this.deadLetterTopic, (scan) => this.#count(scan, partition, from, endOffset, left));
      }
      this.#isComplete = left > 0 && known.length === ends.length;
    } catch {
      // The next figures try again.
    } finally {
      this.#isReading = false;
    }
  }

  #positionOf(partition: number): number {
    return this.#positions.get(partition) ?? 0;
  }

  async #count(scan: LogScan, partition: number, from: number, to: number, records_max: number): Promise<number> {
    let records = 0;
    const position = await scan.read(partition, from, to, (record) => {
      const headers = new HeaderTexts(record);
      const reason = letterReason(record, headers);
      add(this.#ofReason, this.#ofReason.has(reason) || this.#ofReason.size < REASONS_MAX ? reason : "other");
      const origin = headers.count(DEAD_LETTER_HEADERS.partition);
      if (origin !== undefined && headers.text(DEAD_LETTER_HEADERS.topic) === this.topic) add(this.#ofPartition, origin);
      this.#letters++;
      // It is counted, whether or not the next one can be read.
      this.#positions.set(partition, record.offset + 1);
      return ++records < records_max;
    });
    this.#positions.set(partition, position);
    return records;
  }
}

function add<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
