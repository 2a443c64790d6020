import type { Batch, FetchResult, Log, LogRecord, NewRecord, Reader } from "../../../src/log/port.ts";

/** The ways in which the port lets logs differ. */
interface Capabilities {
  /** Whether a topic has a largest batch, which `record_bytes_max` sets and `max.message.bytes` tells. */
  readonly boundsBatches: boolean;
}

/** What an adapter of the `Log` port brings to the contract suite. */
export interface LogHarness {
  readonly capabilities: Capabilities;
  /** Opens another handle onto the same log, as another process would. */
  open(): Promise<Log>;
  /** A name that no other test and no other run uses, for topics, groups and fencing ids. */
  uniqueName(prefix: string): string;
  /** Stops the log and starts it again on what was stored; all handles are closed before. */
  restart?: () => Promise<void>;
  /** Lets the next append through this handle reach the log, but loses its answer. */
  loseNextAnswer?: (log: Log) => void;
  /** Deletes a topic, as an operator would. */
  deleteTopic?: (topic: string) => Promise<void>;
  /** Nobody leads the partition until the function that it resolves with is called. */
  withoutLeader?: (topic: string, partition: number) => Promise<() => Promise<void>>;
  /** No append can be carried out until the function that it resolves with is called. */
  hinderAppends?: (topic: string) => Promise<() => Promise<void>>;
  /** Another program begins a transaction, appends the values to partition 0, and ends it when it is told to. */
  openTransaction?: (topic: string, values: readonly string[]) => Promise<(commit: boolean) => Promise<void>>;
  dispose(): Promise<void>;
}

/** Generous: a real broker takes seconds for a group to form. Nothing in the suite is asserted to be faster. */
const PATIENCE_MS = 45_000;
export const TEST_TIMEOUT_MS = 60_000;
const PARTITION_BYTES_MAX = 256 * 1024;

export const newRecord = (value: NewRecord["value"], more: Partial<NewRecord> = {}): NewRecord => ({
  partition: 0,
  key: null,
  value,
  headers: [],
  timestamp_ms: 1_700_000_000_000,
  ...more,
});

/** The values of one append: prefix-0, prefix-1, … */
export const newRecords = (prefix: string, count: number, more: Partial<NewRecord> = {}): NewRecord[] =>
  Array.from({ length: count }, (_, index) => newRecord(`${prefix}-${index}`, more));

export const values = (records: readonly LogRecord[]): string[] => records.map((record) => record.value?.toString() ?? "null");

/** Everything from `from` up to the current end; checks on the way that offsets only grow and that batches join up. */
export async function readAll(log: Log, topic: string, partition = 0, from?: number): Promise<LogRecord[]> {
  const { startOffset, endOffset } = (await log.watermarks(topic))[partition]!;
  const reader = log.reader(topic);
  const records: LogRecord[] = [];
  try {
    for (let position = from ?? startOffset; position < endOffset;) {
      const results = await reader.fetch(new Map([[partition, position]]), {
        wait_ms_max: 5_000,
        partition_bytes_max: PARTITION_BYTES_MAX,
      });
      for (const result of results) {
        const batch = batchOf(result);
        if (batch.partition !== partition || batch.baseOffset !== position) throw new Error("a batch that was not asked for");
        for (const record of batch.records) {
          if (record.offset < position || record.offset >= batch.nextOffset)
            throw new Error(`offset ${record.offset} is misplaced`);
          position = record.offset + 1;
          records.push(record);
        }
        if (batch.nextOffset < position || batch.nextOffset > batch.endOffset) throw new Error("nextOffset is misplaced");
        position = batch.nextOffset;
      }
    }
  } finally {
    await reader.close();
  }
  return records;
}

export function batchOf(result: FetchResult): Batch {
  if ("batch" in result) return result.batch;
  throw new Error(`A batch was expected: ${JSON.stringify(result)}`);
}

/** Fetches until there is something to tell: an adapter may come back early with nothing. */
export async function fetchSome(log: Log, topic: string, positions: ReadonlyMap<number, number>): Promise<FetchResult[]> {
  const reader = log.reader(topic);
  try {
    return await fetchOn(reader, positions);
  } finally {
    await reader.close();
  }
}

export const fetchOn = (reader: Reader, positions: ReadonlyMap<number, number>): Promise<FetchResult[]> =>
  eventually("something to read", async () => {
    const results = await reader.fetch(positions, { wait_ms_max: 1_000, partition_bytes_max: PARTITION_BYTES_MAX });
    return results.length > 0 ? results : undefined;
  });

/** Asks until the answer is neither undefined nor false. */
export async function eventually<T>(what: string, ask: () => Promise<T | undefined | false> | T | undefined | false): Promise<T> {
  const deadline_ms = performance.now() + PATIENCE_MS;
  while (true) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > deadline_ms) throw new Error(`Not within ${PATIENCE_MS} ms: ${what}`);
    await Bun.sleep(20);
  }
}

/** The error that `promise` rejects with. */
export const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => {
      throw new Error("It resolved, it was to reject.");
    },
    (error: unknown) => error,
  );
