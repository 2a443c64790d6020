import { Database } from "bun:sqlite";
import { SortedRuns, type SortedRunsOptions } from "../../../../src/runtime/store/runs/sorted-runs.ts";
import type { RunsChange } from "../../../../src/runtime/store/runs/runs-change.ts";
import { MemoryFile } from "../../../support/stores/memory-file.ts";

/** Records as a test writes them down. */
export type Records = ReadonlyMap<number, string>;

/** Runs in memory, and what is asked of them, in words. */
export class RunsRig {
  readonly db = new Database(":memory:", { strict: true });
  file = new MemoryFile();
  runs: SortedRuns;

  constructor(private readonly options: SortedRunsOptions = {}) {
    this.db.run(SortedRuns.schema("test"));
    this.runs = this.open();
  }

  open(): SortedRuns {
    return (this.runs = new SortedRuns(this.db, this.file, "test", this.options));
  }

  /** Adds the records in one change, merges what is owed or as many as are said, and commits. */
  put(records: Records, merged_max?: number, replaced?: number): void {
    const change = this.begin(records);
    change.replaced = replaced;
    change.merge(merged_max ?? change.owed);
    change.write();
    this.commit(change);
    change.adopt();
  }

  begin(records: Records): RunsChange {
    const change = this.runs.change();
    this.add(change, records);
    return change;
  }

  add(change: RunsChange, records: Records): void {
    for (const [key, record] of [...records].toSorted(([a], [b]) => a - b)) {
      const bytes = Buffer.from(`<${record}>`, "latin1");
      change.add(key, bytes, 1, bytes.length - 1);
    }
  }

  commit(change: RunsChange): void {
    this.db.transaction(() => change.record())();
  }

  /** What the file has. */
  bytes(): Buffer {
    const bytes = Buffer.alloc(this.file.size);
    this.file.read(bytes, 0, bytes.length, 0);
    return bytes;
  }

  find(key: number): string | undefined {
    const found = this.runs.find(key);
    return found?.bytes.toString("latin1", found.from, found.to);
  }

  /** What `findAll` finds of these keys. */
  findAll(keys: Iterable<number>): Map<number, string> {
    const asked = Float64Array.from(new Set(keys)).toSorted();
    const found = new Map<number, string>();
    this.runs.findAll(asked, asked.length, (n, bytes, from, to) => {
      const key = asked[n] as number;
      if (found.has(key)) throw new Error(`Key ${key} was found twice`);
      found.set(key, bytes.toString("latin1", from, to));
    });
    return found;
  }

  scan(after = -1): Map<number, string> {
    const cursor = this.runs.scan(after);
    const scanned = new Map<number, string>();
    while (cursor.next()) scanned.set(cursor.key, cursor.bytes.toString("latin1", cursor.from, cursor.to));
    return scanned;
  }

  /** The numbers of runs and segments in the manifest. */
  get counts(): { readonly runs: number; readonly segments: number } {
    const count = (table: string) => this.db.query<{ n: number }, []>(`SELECT count(*) AS n FROM test_${table}`).get()?.n ?? 0;
    return { runs: count("runs"), segments: count("segments") };
  }
}

/** The same record for each of the keys. */
export const recordsOf = (keys: Iterable<number>, record: string): Map<number, string> =>
  new Map([...keys].map((key) => [key, record]));

/** The integers from `from` to before `to`. */
export const range = (from: number, to: number, step = 1): number[] =>
  Array.from({ length: Math.ceil((to - from) / step) }, (_, n) => from + n * step);
