import type { StoreDatabase } from "../../../runtime/store/store-database.ts";
import type { LogPosition } from "../../../log/log-position.ts";
import type { LogRecord } from "../../../log/port.ts";
import { EVENT_HEADERS } from "../../../log/record-headers.ts";
import { decodeEvent } from "../../../orders/events/decode.ts";
import { kindOf } from "../../../orders/events/kinds.ts";
import { isPoison } from "../../../orders/events/poison.ts";
import type { DeadLetterReason, Projection, ProjectionStore } from "../../../runtime/projection.ts";
import type { Outcomes } from "../../../telemetry/meters.ts";
import type { OwnCreates } from "./own-creates.ts";

/**
 * The same key gives the same event id in every cart: a version 8 UUID (RFC 9562) made from the key's SHA-256.
 * Requests without a key get version 4, so most records need not be searched for the fingerprint's header (measured: 6
 * % of a cart's time at 256 connections).
 */
export function eventIdOfKey(key: string): string {
  const hex = new Bun.CryptoHasher("sha256").update(`idempotency-key\n${key}`).digest("hex");
  const variant = ((Number.parseInt(hex[16] as string, 16) & 0x3) | 0x8).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

const isKeyedEventId = (eventId: string): boolean => eventId.length === 36 && eventId[14] === "8";

/** Where an order was created, and by which event. */
export interface IndexedOrder extends LogPosition {
  readonly eventId: string;
}

/** The first event of an order that was appended for an idempotency key. */
export interface KeyedEvent extends LogPosition {
  readonly fingerprint: string;
  readonly orderId: string;
}

export interface IndexView {
  order(orderId: string): IndexedOrder | undefined;
  /** The order's first event under that id, or otherwise an event of another order under it, if there is one. */
  keyedEvent(eventId: string, orderId: string): KeyedEvent | undefined;
}

/** An event counts once per order (decision 2), so one id on two orders makes two events. */
const KEYED_EVENTS = `CREATE TABLE keyed_events (
      event_id TEXT NOT NULL, order_id TEXT NOT NULL, fingerprint TEXT NOT NULL, partition INTEGER NOT NULL, "offset" INTEGER NOT NULL,
      PRIMARY KEY (event_id, order_id)
    ) STRICT, WITHOUT ROWID;`;

/**
 * The cart service's index of the whole topic: which orders exist, where they were created, and what was appended for
 * which idempotency key. All partitions share one file, so a single query answers.
 *
 * If two programs that disagree about the partitioner have created one order in two partitions, the lower partition
 * counts.
 */
export const indexProjection = (ownCreates: OwnCreates): Projection<IndexView> => ({
  name: "order-index",
  version: 3,
  schema: `
    CREATE TABLE order_index (
      order_id TEXT PRIMARY KEY, partition INTEGER NOT NULL, "offset" INTEGER NOT NULL, event_id TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    ${KEYED_EVENTS}
    CREATE TABLE placement (one INTEGER PRIMARY KEY CHECK (one = 1), partition_count INTEGER NOT NULL) STRICT;`,
  open: (db, partition) => {
    keepOneForEachOrder(db);
    return new IndexStore(db, partition, ownCreates);
  },
});

/**
 * Converts a file from the time when a key had one event across all orders. Copying it is much faster than rebuilding
 * it from the log.
 */
function keepOneForEachOrder(db: StoreDatabase): void {
  const key = db.query<{ name: string }, []>("SELECT name FROM pragma_table_info('keyed_events') WHERE pk > 0").all();
  if (key.length !== 1) return;
  db.transaction(() => {
    db.run("ALTER TABLE keyed_events RENAME TO keyed_events_before");
    db.run(KEYED_EVENTS);
    db.run('INSERT INTO keyed_events SELECT event_id, order_id, fingerprint, partition, "offset" FROM keyed_events_before');
    db.run("DROP TABLE keyed_events_before");
  }).immediate();
}

class IndexStore implements ProjectionStore<IndexView> {
  readonly view: IndexView;
  #created: { orderId: string; offset: number; eventId: string }[] = [];
  #keyed: { eventId: string; fingerprint: string; orderId: string; offset: number }[] = [];
  readonly #insertOrder;
  readonly #insertKeyed;

  constructor(
    db: StoreDatabase,
    private readonly partition: number,
    private readonly ownCreates: OwnCreates,
  ) {
    // I8: of the creates of an order in one partition the first stays.
    this.#insertOrder = db.query(`INSERT INTO order_index VALUES (?1, ?2, ?3, ?4)
      ON CONFLICT (order_id) DO UPDATE SET partition = ?2, "offset" = ?3, event_id = ?4 WHERE ?2 < partition`);
    this.#insertKeyed = db.query("INSERT INTO keyed_events VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING");
    this.view = makeView(db);
  }

  fold(record: LogRecord): DeadLetterReason | undefined {
    // This cart's own records were checked before they were appended.
    const own = this.ownCreates.recognise(record);
    if (own) {
      this.#note(own, true, record);
      return undefined;
    }
    const event = decodeEvent(record.key, record.value);
    if (isPoison(event)) return { code: event.poison, detail: event.detail };
    const { isCreate } = kindOf(event);
    if (isCreate) this.ownCreates.noteRead(event.orderId, event.eventId);
    this.#note(event, isCreate, record);
    return undefined;
  }

  #note({ orderId, eventId }: { orderId: string; eventId: string }, isCreate: boolean, record: LogRecord): void {
    if (isCreate) this.#created.push({ orderId, offset: record.offset, eventId });
    if (!isKeyedEventId(eventId)) return;
    const fingerprint = record.headers().find(([name]) => name === EVENT_HEADERS.fingerprint)?.[1];
    if (fingerprint)
      this.#keyed.push({ eventId, fingerprint: Buffer.from(fingerprint).toString(), orderId, offset: record.offset });
  }

  flush(): Outcomes | undefined {
    for (const { orderId, offset, eventId } of this.#created) this.#insertOrder.run(orderId, this.partition, offset, eventId);
    for (const { eventId, fingerprint, orderId, offset } of this.#keyed) {
      this.#insertKeyed.run(eventId, orderId, fingerprint, this.partition, offset);
    }
    this.reset();
    return undefined;
  }

  reset(): void {
    this.#created = [];
    this.#keyed = [];
  }
}

function makeView(db: StoreDatabase): IndexView {
  const order = db.query(`SELECT partition, "offset", event_id FROM order_index WHERE order_id = ?`);
  const keyed = `SELECT fingerprint, order_id, partition, "offset" FROM keyed_events WHERE event_id = ?`;
  const keyedOfOrder = db.query(`${keyed} AND order_id = ?`);
  const keyedOfAny = db.query(`${keyed} LIMIT 1`);
  return {
    order: (orderId) => {
      const row = order.values(orderId)[0] as [number, number, string] | undefined;
      return row && { partition: row[0], offset: row[1], eventId: row[2] };
    },
    keyedEvent: (eventId, orderId) => {
      const [found = keyedOfAny.values(eventId)[0]] = keyedOfOrder.values(eventId, orderId);
      const row = found as [string, string, number, number] | undefined;
      return row && { fingerprint: row[0], orderId: row[1], partition: row[2], offset: row[3] };
    },
  };
}

/**
 * The partition count by which the cart that owns this file placed creates; undefined if it never did. It says nothing
 * about the log.
 */
export function readPlacement(db: StoreDatabase): number | undefined {
  return db.query<{ partition_count: number }, []>("SELECT partition_count FROM placement").get()?.partition_count;
}

export function writePlacement(db: StoreDatabase, partitionCount: number): void {
  db.run("INSERT INTO placement VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET partition_count = ?1", [partitionCount]);
}
