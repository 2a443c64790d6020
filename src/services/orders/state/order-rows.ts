import { keyAtOrBefore, orderIdOf, orderIdOfKey } from "../../../orders/order-key.ts";
import type { Saving } from "../../../runtime/projection.ts";
import type { HeldBytes, Piece } from "../../../runtime/store/copy/held-store.ts";
import type { ByteFile } from "../../../runtime/store/byte-file.ts";
import { FileStamp, STAMP_BYTES } from "../../../runtime/store/file-stamp.ts";
import { damagedRow } from "../../../runtime/store/store-failures.ts";
import { SortedRuns } from "../../../runtime/store/runs/sorted-runs.ts";
import { merged } from "../../../runtime/store/read-views/merged.ts";
import type { StoreFiles } from "../../../runtime/store/store-files.ts";
import { ByteWriter } from "../../../runtime/store/bytes/byte-writer.ts";
import { CachedOrder, type CachedOrders } from "./cached-orders.ts";
import { Creates } from "./creates.ts";
import { readRecord, writeRecord } from "./order-record.ts";
import { CREATES_FILE, RECORDS_FILE, RUNS_NAME } from "./orders-schema.ts";
import type { StoredCreated } from "./stored-created.ts";

/** What the database has of the totals. */
export interface Totals {
  readonly digest: number;
  readonly orders: number;
  /** Updates that wait for their create. */
  readonly held: number;
}

/** The saved rows of a partition's orders: the records, what the creates said, the spilled event ids and the totals. */
export class OrderRows {
  readonly creates: Creates;
  readonly #runs: SortedRuns;
  readonly #files: readonly ByteFile[];
  readonly #stamps: readonly FileStamp[];
  readonly #syncDatabase;
  readonly #findLong;
  readonly #writeLong;
  readonly #longAfter;
  readonly #isSpilled;
  readonly #spilled;
  readonly #spill;
  readonly #readTotals;
  readonly #writeTotals;

  constructor(files: StoreFiles) {
    const { db, bytes, memory, syncDatabase } = files;
    this.#syncDatabase = syncDatabase;
    this.#readTotals = db.query<[number, number, number, number], []>("SELECT digest, orders, held, creates_bytes FROM totals");
    this.#writeTotals = db.query("UPDATE totals SET digest = ?, orders = ?, held = ?, creates_bytes = ?");
    this.#findLong = db.query<[Uint8Array], [string]>("SELECT record FROM long_orders WHERE order_id = ?");
    this.#writeLong = db.query("INSERT OR REPLACE INTO long_orders VALUES (?, ?)");
    this.#longAfter = db.query<[string], [string, number]>(
      "SELECT order_id FROM long_orders WHERE order_id > ? ORDER BY order_id LIMIT ?",
    );
    this.#isSpilled = db.query("SELECT 1 FROM spilled_event_ids WHERE order_id = ? AND event_id = ?");
    this.#spilled = db.query<[string], [string]>("SELECT event_id FROM spilled_event_ids WHERE order_id = ?");
    this.#spill = db.query("INSERT INTO spilled_event_ids VALUES (?, ?)");
    const records = bytes(RECORDS_FILE);
    const creates = bytes(CREATES_FILE);
    this.#files = [records, creates];
    this.creates = new Creates(creates, this.#savedTotals().creates_bytes);
    this.#runs = new SortedRuns(db, records, RUNS_NAME, { memory: memory.runs });
    this.#stamps = [
      new FileStamp(files, records, RECORDS_FILE, (at) => this.#runs.reserve(at)),
      new FileStamp(files, creates, CREATES_FILE, (at) => at ?? this.creates.leaveRoom(STAMP_BYTES)),
    ];
  }

  totals(): Totals {
    return this.#savedTotals();
  }

  /** A checksum of the totals and of which records count, as they are saved. */
  get checksum(): number {
    const totals = this.#savedTotals();
    return checksumOf(totals, totals.creates_bytes, this.#runs.checksum);
  }

  #savedTotals(): Totals & { readonly creates_bytes: number } {
    const [row] = this.#readTotals.values();
    if (row === undefined) throw damagedRow("The totals", "There are none.");
    const [digest, orders, held, creates_bytes] = row as [number, number, number, number];
    return { digest, orders, held, creates_bytes };
  }

  /** Reads the order's record into `order`. Returns false if there is none. */
  read(order: CachedOrder): boolean {
    const { name } = order;
    if (typeof name === "string") {
      const found = this.#findLong.values(name)[0] as [Uint8Array] | undefined;
      if (found === undefined) return false;
      const bytes = Buffer.from(found[0].buffer, found[0].byteOffset, found[0].length);
      readRecord(this.creates, order, bytes, 0, bytes.length);
      return true;
    }
    const found = this.#runs.find(name);
    if (found === undefined) return false;
    readRecord(this.creates, order, found.bytes, found.from, found.to);
    return true;
  }

  /** Reads the records of orders in memory. The keys are theirs, ascending and distinct. */
  readAll(cached: CachedOrders, keys: Float64Array): void {
    this.#runs.findAll(keys, keys.length, (n, bytes, from, to) =>
      readRecord(this.creates, cached.get(keys[n] as number) as CachedOrder, bytes, from, to),
    );
  }

  /** How many runs and segments the records are in. */
  get counts(): SortedRuns["counts"] {
    return this.#runs.counts;
  }

  /** Whether no order with a key is saved, so that none needs to be looked for. */
  get hasNoRuns(): boolean {
    return this.#runs.records === 0;
  }

  /** The next saved names after this id, ascending by the ids' code units, at most `limit`. */
  idsAfter(after: string, limit: number): string[] {
    const long = (this.#longAfter.values(after, limit) as [string][]).map(([orderId]) => orderId);
    const ids: string[] = [];
    const cursor = this.#runs.scan(keyAtOrBefore(after));
    while (ids.length < limit && cursor.next()) {
      const orderId = orderIdOfKey(cursor.key);
      if (orderId > after) ids.push(orderId);
    }
    return [...ids, ...long].toSorted(byCodeUnit).slice(0, limit);
  }

  /** The saved orders whose ids are above this one, ascending by code unit. */
  rowsAfter(after: string): Generator<CachedOrder> {
    return merged(this.#keyedAfter(after), this.#longOrdersAfter(after), (a, b) => orderIdOf(a.name) < orderIdOf(b.name));
  }

  *#keyedAfter(after: string): Generator<CachedOrder, void> {
    const cursor = this.#runs.scan(keyAtOrBefore(after));
    try {
      while (cursor.next()) {
        const order = new CachedOrder(cursor.key);
        if (orderIdOf(cursor.key) <= after) continue;
        readRecord(this.creates, order, cursor.bytes, cursor.from, cursor.to);
        yield order;
      }
    } finally {
      cursor.close();
    }
  }

  *#longOrdersAfter(after: string): Generator<CachedOrder, void> {
    for (let last = after; ;) {
      const [found] = this.#longAfter.values(last, 1) as [string][];
      if (found === undefined) return;
      const order = new CachedOrder(found[0]);
      this.read(order);
      yield order;
      [last] = found;
    }
  }

  isSpilled(orderId: string, eventId: string): boolean {
    return this.#isSpilled.get(orderId, eventId) !== null;
  }

  spilledIds(orderId: string): string[] {
    return (this.#spilled.values(orderId) as [string][]).map(([eventId]) => eventId);
  }

  /** Holds what is saved of the records and the creates; see `Fold.hold`. */
  hold(): HeldBytes {
    const records = this.#runs.hold();
    const [recordsStamp, createsStamp] = this.#stamps.map((stamp) => stamp.piece()) as [Piece, Piece];
    const { creates_bytes } = this.#savedTotals();
    const { creates } = this;
    return {
      files: new Map([
        [RECORDS_FILE, () => [records.pieces(), [recordsStamp]].values().flatMap((pieces) => pieces)],
        [CREATES_FILE, () => [creates.pieces(creates_bytes), [createsStamp]].values().flatMap((pieces) => pieces)],
      ]),
      bytes: records.bytes + creates_bytes,
      get isBroken() {
        return records.isBroken;
      },
      release: () => records.release(),
    };
  }

  /** Begins to save the orders; `totals` are those with all of them. Throws if the files fail, and has done nothing then. */
  save(cached: CachedOrders, orders: readonly CachedOrder[], totals: Totals): Saving {
    const long: [string, Buffer][] = [];
    const spilled: [string, string][] = [];
    const keys = new Float64Array(orders.length);
    let keyed = 0;
    let replaced = 0;
    const out = new ByteWriter();
    for (const order of orders) {
      const { name, newlySpilled } = order;
      if (newlySpilled !== undefined) for (const eventId of newlySpilled.toArray()) spilled.push([orderIdOf(name), eventId]);
      if (typeof name === "number") {
        keys[keyed++] = name;
        if (order.isStored) replaced++;
      } else {
        out.at = 0;
        this.#writeRecord(out, order);
        long.push([name, Buffer.from(out.bytes.subarray(0, out.at))]);
      }
    }
    const creates_bytes = this.creates.write();
    const change = this.#runs.change();
    try {
      const sorted = keys.subarray(0, keyed).toSorted();
      for (let n = 0; n < keyed; n++) {
        const key = sorted[n] as number;
        out.at = 0;
        this.#writeRecord(out, cached.get(key) as CachedOrder);
        change.add(key, out.bytes, 0, out.at);
      }
      change.replaced = replaced;
      change.mergeShare();
      change.write();
      for (const stamp of this.#stamps) stamp.write();
    } catch (e) {
      change.drop();
      throw e;
    }
    const synced = Promise.all([...this.#files.map((file) => file.sync()), this.#syncDatabase()]).then(() => undefined);
    // A failure is told to whoever awaits it, which may be nobody.
    synced.catch(() => undefined);
    return {
      synced,
      write: () => {
        change.record();
        for (const [orderId, record] of long) this.#writeLong.run(orderId, record);
        for (const [orderId, eventId] of spilled) this.#spill.run(orderId, eventId);
        this.#writeTotals.run(totals.digest, totals.orders, totals.held, creates_bytes);
        for (const stamp of this.#stamps) stamp.record();
      },
      checksum: () => checksumOf(totals, creates_bytes, change.checksum),
      committed: () => {
        change.adopt();
        this.creates.saved(creates_bytes);
      },
      abandoned: () => change.drop(),
    };
  }

  #writeRecord(out: ByteWriter, { kept, spilled }: CachedOrder): void {
    const created = kept.order?.created;
    writeRecord(out, kept, spilled, created === undefined ? 0 : (created as StoredCreated).place);
  }
}

const checksumOf = ({ digest, orders, held }: Totals, creates_bytes: number, runs: number): number =>
  Bun.hash.crc32(JSON.stringify([digest, orders, held, creates_bytes, runs]));

export const byCodeUnit = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
