import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import type { Projections } from "../../../src/runtime/projections.ts";
import { isDamage } from "../../../src/runtime/store/store-failures.ts";
import { prepareDatabase } from "../../../src/runtime/store/store-file.ts";
import type { StoreFiles } from "../../../src/runtime/store/store-files.ts";
import { StoreMemory } from "../../../src/runtime/store/store-memory.ts";
import { PartitionStore } from "../../../src/runtime/store/store.ts";
import { indexProjection } from "../../../src/services/cart/index/index-projection.ts";
import { IndexRows } from "../../../src/services/cart/index/index-rows.ts";
import { OwnCreates } from "../../../src/services/cart/index/own-creates.ts";
import { rowMembers } from "../../../src/services/orders/state/order-row-json.ts";
import { SavedOrders } from "../../../src/services/orders/state/saved-orders.ts";
import { orderProjection } from "../../../src/services/orders/state/order-projection.ts";
import { logRecordOf, orderCreated, statusUpdated } from "../../support/events/orders.ts";
import { MemoryFiles } from "../../support/stores/memory-files.ts";
import { placingIn } from "../../support/events/placing.ts";

const IDENTITY = { logId: "log", topic: "orders" };
const SAVES = 9;
const RECORDS_PER_SAVE = 30;
/** How far apart the bits are that are flipped in turn; a prime, so that each bit of a byte has its turn. */
const BIT_STEP = 151;

type Files = Omit<StoreFiles, "memory">;

/** Files with records of some partitions, saved in turn, so that some runs are merged and others wait for it. */
async function filled(projections: Projections, partitions: readonly number[]): Promise<MemoryFiles> {
  const files = new MemoryFiles(projections);
  for (const partition of partitions) {
    const store = new PartitionStore(files, projections, partition, () => undefined);
    store.topicId = "topic";
    for (let offset = 0; offset < SAVES * RECORDS_PER_SAVE; offset++) {
      const orderId = `ORD-${partition}${(offset * 7) % 100}`;
      const created = orderCreated({ orderId, eventId: `c${offset}` });
      const shipped = statusUpdated({ orderId, eventId: `u${offset}`, status: "shipped" });
      store.projections.fold(logRecordOf(offset % 2 === 0 ? shipped : created, offset));
      if ((offset + 1) % RECORDS_PER_SAVE !== 0) continue;
      store.keep(offset + 1, { offset, checksum: offset * 77, leaderEpoch: 7 });
      const saving = store.save();
      await saving.synced;
      saving.commit();
    }
  }
  return files;
}

/** Everything that the stores of these partitions say. */
function told(files: Files, projections: () => Projections, partitions: readonly number[], rows: (files: StoreFiles) => unknown) {
  const { db, bytes } = files;
  const [memory, nothing] = [new StoreMemory(), () => undefined];
  const opened = { db, bytes, syncDatabase: async () => undefined, pin: () => files.pin(), close: nothing, memory };
  const list = projections();
  const positions = partitions.map((partition) => {
    const { nextOffset, last, topicId, firstOffset, isLastOfAll } = new PartitionStore(opened, list, partition, () => undefined);
    return [nextOffset, last, topicId, firstOffset, isLastOfAll];
  });
  return JSON.stringify([positions, rows(opened)]);
}

function toldOf(flipped: Buffer, files: Files, projections: () => Projections, tell: (files: Files) => string): string {
  let db: Database | undefined;
  try {
    db = Database.deserialize(flipped, { strict: true });
    const other = prepareDatabase(db, projections(), IDENTITY);
    return other === undefined ? tell({ ...files, bytes: files.bytes, db }) : "damage";
  } catch (e) {
    // SQLite reads a file of a later version of itself, and does not write to it.
    if (isDamage(e) || (e as { code?: unknown }).code === "SQLITE_READONLY") return "damage";
    throw e;
  } finally {
    db?.close();
  }
}

test.each([
  [
    "orders",
    (): Projections => [orderProjection],
    [3],
    (files: StoreFiles) => {
      const saved = new SavedOrders(files);
      return [saved.figures(), Array.from(saved.rowsAfter(""), rowMembers)];
    },
  ],
  [
    "an index",
    (): Projections => [indexProjection(new OwnCreates(), placingIn(3))],
    [0],
    (files: StoreFiles) => {
      const rows = new IndexRows(files);
      return [rows.counts(), [...rows.entriesAfter("")]];
    },
  ],
] as const)("a flipped bit in the database of %s is damage, or changes nothing", async (_, projections, partitions, rows) => {
  const files = await filled(projections(), partitions);
  const tell = (read: Files) => told(read, projections, partitions, rows);
  const right = tell(files);
  const bytes = (files.db as Database).serialize();
  const outcomes = { right: 0, damage: 0 };
  for (let bit = 0; bit < bytes.length * 8; bit += BIT_STEP) {
    const flipped = Buffer.from(bytes);
    flipped[bit >>> 3]! ^= 1 << (bit & 7);
    const outcome = toldOf(flipped, files, projections, tell);
    if (outcome !== "damage") expect({ bit, outcome }).toEqual({ bit, outcome: right });
    outcomes[outcome === "damage" ? "damage" : "right"]++;
  }
  expect(outcomes.right).toBeGreaterThan(0);
  expect(outcomes.damage).toBeGreaterThan(50);
});
