import type { LogPosition } from "../../log/log-position.ts";
import type { LogRecord, NewRecord } from "../../log/port.ts";
import { recordDifference, type Strictness } from "./record-difference.ts";

/** A record that should arrive, and its offset in the source. */
export interface Expected {
  readonly offset: number;
  readonly record: NewRecord;
}

/** A record that arrived, and the position in the source that it says it comes from. */
export interface Arrived {
  readonly record: LogRecord;
  readonly origin: LogPosition | undefined;
}

export interface Difference {
  readonly kind: "missing" | "changed" | "unexpected" | "out of order" | "repeated";
  /** The offset in the source; undefined where the record does not say it. */
  readonly offset: number | undefined;
  /** The offset in the target; undefined where nothing arrived. */
  readonly arrivedAt: number | undefined;
  readonly detail: string;
}

/** The result of comparing one partition. */
export interface PartitionComparison {
  readonly partition: number;
  /** How many records should have arrived. */
  readonly expected: number;
  /** How many of the expected records arrived. */
  readonly arrived: number;
  /** How many repeated records arrived without doing harm. */
  readonly repeated: number;
  readonly differences: number;
  /** The first differences, at most DIFFERENCES_KEPT_MAX. */
  readonly kept: readonly Difference[];
}

const DIFFERENCES_KEPT_MAX = 100;

const NOT_MEANT = "it is none of those that were to be moved";

export interface ComparisonOptions {
  readonly partition: number;
  /**
   * Gives what should arrive from an offset on, in ascending order. It is called again where records were repeated.
   */
  readonly expected: (fromOffset: number) => AsyncIterable<Expected>;
  readonly fromOffset: number;
  /** The offset from which on nothing is expected. */
  readonly toOffset: number;
  /** What arrived in the target's partition of the same number, in the order of the log. */
  readonly arrived: AsyncIterable<Arrived>;
  readonly strictness: Strictness;
  /** Whether the record may arrive twice without doing harm. */
  readonly mayRepeat: (record: LogRecord) => boolean;
}

/**
 * Compares what arrived with what should have: every expected record once, no other, unchanged, and in the source's
 * order. It holds one record of each side at a time. Records that a mover wrote again after an outage are compared
 * again and counted as repeated.
 */
export async function comparePartition(options: ComparisonOptions): Promise<PartitionComparison> {
  const { partition, strictness, mayRepeat } = options;
  const found = new FoundDifferences();
  let expectedCount = 0;
  let arrivedCount = 0;
  let repeated = 0;
  /** The last settled offset. Every expected record up to it has arrived or been found missing. */
  let settled = options.fromOffset - 1;
  let cursor = new Cursor(options.expected(options.fromOffset));
  await cursor.next();

  /** Moves the cursor on to `offset`; the unsettled records that it passes are missing. */
  const passTo = async (offset: number) => {
    for (; cursor.at && cursor.at.offset < offset; await cursor.next()) {
      if (cursor.at.offset <= settled) continue;
      settled = cursor.at.offset;
      expectedCount++;
      found.missing(cursor.at.offset);
    }
  };

  for await (const { record, origin } of options.arrived) {
    if (origin?.partition !== partition) {
      const from = origin ? `comes from partition ${origin.partition}` : "does not say where it comes from";
      found.add("unexpected", origin?.offset, record.offset, `it ${from}`);
      continue;
    }
    const { offset } = origin;
    if (offset < options.fromOffset || offset >= options.toOffset) {
      found.add("unexpected", offset, record.offset, NOT_MEANT);
      continue;
    }
    const again = offset <= settled;
    if (again && (cursor.at?.offset ?? Number.POSITIVE_INFINITY) > offset) {
      await cursor.close();
      cursor = new Cursor(options.expected(offset));
      await cursor.next();
    }
    await passTo(offset);
    if (cursor.at?.offset !== offset) {
      found.add("unexpected", offset, record.offset, NOT_MEANT);
      continue;
    }
    const differs = recordDifference(cursor.at.record, record, strictness);
    if (differs.length > 0) found.add("changed", offset, record.offset, `${differs.join(", ")} differ`);
    if (!again) {
      settled = offset;
      expectedCount++;
      arrivedCount++;
    } else if (found.arrivedLate(offset, record.offset)) {
      arrivedCount++;
    } else if (mayRepeat(record)) {
      repeated++;
    } else {
      found.add("repeated", offset, record.offset, "it has no event id by which it would count once");
    }
    await cursor.next();
  }
  await passTo(Number.POSITIVE_INFINITY);
  await cursor.close();
  return { partition, expected: expectedCount, arrived: arrivedCount, repeated, differences: found.count, kept: found.kept };
}

class Cursor {
  at: Expected | undefined;
  readonly #records: AsyncIterator<Expected>;

  constructor(records: AsyncIterable<Expected>) {
    this.#records = records[Symbol.asyncIterator]();
  }

  async next(): Promise<void> {
    const { done, value } = await this.#records.next();
    this.at = done ? undefined : value;
  }

  async close(): Promise<void> {
    await this.#records.return?.();
  }
}

class FoundDifferences {
  count = 0;
  readonly kept: Difference[] = [];

  missing(offset: number): void {
    this.add("missing", offset, undefined, "it did not arrive");
  }

  add(kind: Difference["kind"], offset: number | undefined, arrivedAt: number | undefined, detail: string): void {
    this.count++;
    if (this.kept.length < DIFFERENCES_KEPT_MAX) this.kept.push({ kind, offset, arrivedAt, detail });
  }

  /** Turns the record's "missing" into "out of order", and returns whether it had been found missing. */
  arrivedLate(offset: number, arrivedAt: number): boolean {
    const at = this.kept.findIndex((difference) => difference.kind === "missing" && difference.offset === offset);
    if (at < 0) return false;
    this.kept[at] = { kind: "out of order", offset, arrivedAt, detail: "later ones arrived before it" };
    return true;
  }
}
