import { keyAtOrBefore, nameOf, orderIdOfKey, type OrderName } from "../../../orders/order-key.ts";
import { ByteWriter } from "../../../runtime/store/bytes/byte-writer.ts";
import { FileStamp } from "../../../runtime/store/file-stamp.ts";
import { SortedRuns } from "../../../runtime/store/runs/sorted-runs.ts";
import { merged } from "../../../runtime/store/read-views/merged.ts";
import type { Saving } from "../../../runtime/projection.ts";
import type { HeldBytes } from "../../../runtime/store/copy/held-store.ts";
import type { StoreFiles } from "../../../runtime/store/store-files.ts";
import { IndexEntry, isBefore, readEntry, writeEntry } from "./index-record.ts";
import type { KeyedEvent } from "./index-projection.ts";
import { Strays, STRAYS_SCHEMA } from "./strays.ts";

/** An event that was appended for an idempotency key. An event counts once per order, so one id on two orders is two. */
export interface KeyedRow extends KeyedEvent {
  readonly eventId: string;
}

/** What is saved of an index. */
export interface IndexCounts {
  readonly orders: number;
  readonly keyed: number;
  readonly runs: number;
  readonly segments: number;
}

/** Mostly an event id has one row or none, and then one question is enough. */
const KEYED_ROWS_MAX = 2;
const RUNS_NAME = "order_index";
const RECORDS_FILE = "records";

/** What the file of an index says it holds. The version is raised with every change of the rows or of their meaning. */
export const INDEX_KIND = { name: "order-index", version: 6 };

export const INDEX_SCHEMA = `
    ${SortedRuns.schema(RUNS_NAME)}
    CREATE TABLE long_orders (
      order_id TEXT PRIMARY KEY, partition INTEGER NOT NULL, "offset" INTEGER NOT NULL, event_id TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE keyed_events (
      event_id TEXT NOT NULL, order_id TEXT NOT NULL, fingerprint TEXT NOT NULL, partition INTEGER NOT NULL, "offset" INTEGER NOT NULL,
      PRIMARY KEY (event_id, order_id)
    ) STRICT, WITHOUT ROWID;
    ${STRAYS_SCHEMA}`;

/**
 * The rows of a partition's index: the entries that are saved, in sorted runs, and over them those that are kept in
 * memory until they are. One saving is under way at a time.
 */
export class IndexRows {
  readonly #unsaved = new Map<OrderName, IndexEntry>();
  readonly #unsavedKeyed = new Map<string, KeyedRow[]>();
  readonly #runs: SortedRuns;
  readonly #syncDatabase;
  readonly #file;
  readonly #stamp: FileStamp;
  readonly strays: Strays;
  readonly #findLong;
  readonly #writeLong;
  readonly #nextLong;
  readonly #countTables;
  readonly #insertKeyed;
  readonly #keyedOfOrder;
  readonly #keyedOfAny;

  constructor(files: StoreFiles) {
    const { db, bytes, memory, syncDatabase } = files;
    this.#syncDatabase = syncDatabase;
    this.strays = new Strays(db);
    this.#file = bytes(RECORDS_FILE);
    this.#runs = new SortedRuns(db, this.#file, RUNS_NAME, { memory: memory.runs });
    this.#stamp = new FileStamp(files, this.#file, RECORDS_FILE, (at) => this.#runs.reserve(at));
    this.#findLong = db.query(`SELECT partition, "offset", event_id FROM long_orders WHERE order_id = ?`);
    this.#writeLong = db.query("INSERT OR REPLACE INTO long_orders VALUES (?, ?, ?, ?)");
    this.#nextLong = db.query("SELECT order_id FROM long_orders WHERE order_id > ? ORDER BY order_id LIMIT 1");
    this.#countTables = db.query("SELECT (SELECT count(*) FROM long_orders), (SELECT count(*) FROM keyed_events)");
    this.#insertKeyed = db.query("INSERT INTO keyed_events VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING");
    const keyed = `SELECT fingerprint, order_id, partition, "offset" FROM keyed_events WHERE event_id = ?`;
    this.#keyedOfOrder = db.query(`${keyed} AND order_id = ?`);
    this.#keyedOfAny = db.query(`${keyed} LIMIT ${KEYED_ROWS_MAX}`);
  }

  /** A checksum of which records count, as they are saved. */
  get checksum(): number {
    return (this.#runs.checksum + this.strays.checksum) % 2 ** 32;
  }

  /** The order's create that counts, saved or not. */
  find(orderId: string): IndexEntry | undefined {
    const name = nameOf(orderId);
    const unsaved = this.#unsaved.get(name);
    const saved = this.#findSaved(name);
    return unsaved && saved ? (isBefore(unsaved, saved) ? unsaved : saved) : (unsaved ?? saved);
  }

  /** How many orders are indexed, where one that was saved twice may count twice, and events for idempotency keys. */
  counts(): IndexCounts {
    const { records, counts } = this.#runs;
    const [row] = this.#countTables.values() as [number, number][];
    const [long = 0, keyed = 0] = row ?? [];
    return { ...counts, orders: records + long, keyed };
  }

  /** The saved entries of the orders whose ids are above this one, ascending by code unit. */
  entriesAfter(after: string): Generator<[orderId: string, entry: IndexEntry]> {
    return merged(this.#keyedAfter(after), this.#longAfter(after), ([a], [b]) => a < b);
  }

  *#keyedAfter(after: string): Generator<[string, IndexEntry], void> {
    const cursor = this.#runs.scan(keyAtOrBefore(after));
    try {
      while (cursor.next()) {
        const orderId = orderIdOfKey(cursor.key);
        if (orderId > after) yield [orderId, readEntry(cursor.bytes, cursor.from, cursor.to)];
      }
    } finally {
      cursor.close();
    }
  }

  *#longAfter(after: string): Generator<[string, IndexEntry], void> {
    for (let last = after; ;) {
      const [found] = this.#nextLong.values(last) as [string][];
      if (found === undefined) return;
      [last] = found;
      yield [last, this.#findSaved(last) as IndexEntry];
    }
  }

  keyedEvent(eventId: string, orderId: string): KeyedEvent | undefined {
    const unsaved = this.#unsavedKeyed.get(eventId) ?? [];
    const saved = this.#keyedOfAny.values(eventId).map(keyedOf);
    const isOfOrder = (row: KeyedEvent | undefined): boolean => row?.orderId === orderId;
    const isTold = saved.length < KEYED_ROWS_MAX || saved.some(isOfOrder);
    const ofOrder = isTold ? saved.find(isOfOrder) : keyedOf(this.#keyedOfOrder.values(eventId, orderId)[0]);
    const found: KeyedEvent | undefined = ofOrder ?? unsaved.find(isOfOrder) ?? saved[0] ?? unsaved[0];
    return found && { fingerprint: found.fingerprint, orderId: found.orderId, partition: found.partition, offset: found.offset };
  }

  keep(name: OrderName, entry: IndexEntry): void {
    const known = this.#unsaved.get(name);
    // I8: of the creates of an order in one partition the first stays.
    if (known === undefined || isBefore(entry, known)) this.#unsaved.set(name, entry);
  }

  keepKeyed(row: KeyedRow): void {
    const rows = this.#unsavedKeyed.get(row.eventId);
    if (rows === undefined) this.#unsavedKeyed.set(row.eventId, [row]);
    else if (!rows.some(({ orderId }) => orderId === row.orderId)) rows.push(row);
  }

  /** Holds what is saved of the entries; see `Fold.hold`. */
  hold(): HeldBytes {
    const records = this.#runs.hold();
    const stamp = this.#stamp.piece();
    return {
      files: new Map([[RECORDS_FILE, () => [records.pieces(), [stamp]].values().flatMap((pieces) => pieces)]]),
      bytes: records.bytes,
      get isBroken() {
        return records.isBroken;
      },
      release: () => records.release(),
    };
  }

  /** Begins to save what was kept. */
  save(entries: ReadonlyMap<OrderName, IndexEntry>, keyed: readonly KeyedRow[]): Saving {
    const change = this.#runs.change();
    const long: [string, IndexEntry][] = [];
    try {
      this.#add(change, entries, long);
      // What is added for an order that has an entry is rare: the first create stays.
      change.replaced = 0;
      change.mergeShare();
      change.write();
      this.#stamp.write();
    } catch (e) {
      change.drop();
      throw e;
    }
    const synced = Promise.all([this.#file.sync(), this.#syncDatabase()]).then(() => undefined);
    // A failure is told to whoever awaits it, which may be nobody.
    synced.catch(() => undefined);
    return {
      synced,
      write: () => {
        change.record();
        this.strays.write();
        for (const [orderId, entry] of long) this.#writeLong.run(orderId, entry.partition, entry.offset, entry.eventId);
        for (const { eventId, orderId, fingerprint, partition, offset } of keyed)
          this.#insertKeyed.run(eventId, orderId, fingerprint, partition, offset);
        this.#stamp.record();
      },
      checksum: () => (change.checksum + this.strays.checksum) % 2 ** 32,
      committed: () => {
        change.adopt();
        for (const [name, entry] of entries) if (this.#unsaved.get(name) === entry) this.#unsaved.delete(name);
        for (const row of keyed) this.#forgetKeyed(row);
      },
      abandoned: () => {
        change.drop();
      },
    };
  }

  #add(
    change: ReturnType<SortedRuns["change"]>,
    entries: ReadonlyMap<OrderName, IndexEntry>,
    long: [string, IndexEntry][],
  ): void {
    const keys = new Float64Array(entries.size);
    let count = 0;
    for (const [name, entry] of entries) {
      if (typeof name === "number") keys[count++] = name;
      else if (this.#counts(entry, this.#findSaved(name))) long.push([name, entry]);
    }
    const sorted = keys.subarray(0, count).toSorted();
    const outdone = new Set<number>();
    this.#runs.findAll(sorted, count, (n, bytes, from, to) => {
      const key = sorted[n] as number;
      if (!this.#counts(entries.get(key) as IndexEntry, readEntry(bytes, from, to))) outdone.add(key);
    });
    const out = new ByteWriter();
    for (const key of sorted) {
      if (outdone.has(key)) continue;
      out.at = 0;
      writeEntry(out, entries.get(key) as IndexEntry);
      change.add(key, out.bytes, 0, out.at);
    }
  }

  #counts(entry: IndexEntry, saved: IndexEntry | undefined): boolean {
    return saved === undefined || isBefore(entry, saved);
  }

  #findSaved(name: OrderName): IndexEntry | undefined {
    if (typeof name === "number") {
      const found = this.#runs.find(name);
      return found && readEntry(found.bytes, found.from, found.to);
    }
    const row = this.#findLong.values(name)[0] as [number, number, string] | undefined;
    return row && IndexEntry.of(row[0], row[1], row[2]);
  }

  #forgetKeyed({ eventId, orderId }: KeyedRow): void {
    const left = this.#unsavedKeyed.get(eventId)?.filter((row) => row.orderId !== orderId) ?? [];
    if (left.length === 0) this.#unsavedKeyed.delete(eventId);
    else this.#unsavedKeyed.set(eventId, left);
  }
}

function keyedOf(row: unknown): KeyedEvent | undefined {
  const found = row as [string, string, number, number] | undefined;
  return found && { fingerprint: found[0], orderId: found[1], partition: found[2], offset: found[3] };
}
