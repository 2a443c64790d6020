import type { LogPosition } from "../../log/log-position.ts";
import type { LogRecord, NewRecord } from "../../log/port.ts";
import { recordDifference, type Strictness } from "./record-difference.ts";

/** A record that should arrive, and the offset in the source that it comes from. */
export interface Expected {
  readonly offset: number;
  readonly record: NewRecord;
}

/** A record that arrived, and where it says that it comes from. */
export interface Arrived {
  readonly record: LogRecord;
  readonly origin: LogPosition | undefined;
}

export interface Difference {
  readonly kind: "missing" | "changed" | "unexpected" | "out of order" | "repeated";
  /** In the source; undefined where the record does not say. */
  readonly offset: number | undefined;
  /** In the target; undefined where nothing arrived. */
  readonly arrivedAt: number | undefined;
  readonly detail: string;
}

/** One partition, compared. */
export interface PartitionComparison {
  readonly partition: number;
  /** Records that should arrive, and those of them that did. */
  readonly expected: number;
  readonly arrived: number;
  /** Arrived once more than once, and did no harm. */
  readonly repeated: number;
  readonly differences: number;
  /** The first ones, at most DIFFERENCES_KEPT_MAX. */
  readonly kept: readonly Difference[];
}

const DIFFERENCES_KEPT_MAX = 100;

const NOT_MEANT = "it is none of those that were to be moved";

export interface ComparisonOptions {
  readonly partition: number;
  /** What should arrive, in ascending offsets, from the given offset on. Asked again where records were repeated. */
  readonly expected: (fromOffset: number) => AsyncIterable<Expected>;
  readonly fromOffset: number;
  /** From here on nothing is expected. */
  readonly toOffset: number;
  /** What arrived in the target's partition of the same number, in its order. */
  readonly arrived: AsyncIterable<Arrived>;
  readonly strictness: Strictness;
  /** Whether a record that arrives twice does no harm. */
  readonly mayRepeat: (record: LogRecord) => boolean;
}

/**
 * Compares what arrived with what should have, record by record, holding one of each: every record once, none else, unchanged, and in
 * the source's order. After an outage a mover may write a run of records again; they are compared again and counted.
 */
export async function comparePartition(options: ComparisonOptions): Promise<PartitionComparison> {
  const { partition, strictness, mayRepeat } = options;
  const found = new FoundDifferences();
  let expectedCount = 0;
  let arrivedCount = 0;
  let repeated = 0;
  /** The last offset that was expected for the first time, and is thereby settled: it has arrived or is missing. */
  let settled = options.fromOffset - 1;
  let cursor = new Cursor(options.expected(options.fromOffset));
  await cursor.next();

  /** Passes over what should have arrived before `offset`. */
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

  /** Whether a record was missing when a later one had arrived. */
  arrivedLate(offset: number, arrivedAt: number): boolean {
    const at = this.kept.findIndex((difference) => difference.kind === "missing" && difference.offset === offset);
    if (at < 0) return false;
    this.kept[at] = { kind: "out of order", offset, arrivedAt, detail: "later ones arrived before it" };
    return true;
  }
}
