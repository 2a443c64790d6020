import { describe, expect, test } from "bun:test";
import type { OrderEvent } from "../../../src/orders/events/kinds.ts";
import { PartitionStore, type StoreSaving } from "../../../src/runtime/store/store.ts";
import { orderProjection } from "../../../src/services/orders/state/order-projection.ts";
import { logRecordOf, orderCreated, statusUpdated } from "../../support/events/orders.ts";
import { MemoryFiles } from "../../support/stores/memory-files.ts";
import { diskFull, isPositionWrite, type StatementFault, withFaults } from "../../support/stores/store-faults.ts";

const PARTITION = 3;
const LOG: readonly OrderEvent[] = [
  orderCreated(),
  statusUpdated({ eventId: "b", status: "shipped" }),
  orderCreated({ orderId: "ORD-2", eventId: "c" }),
  statusUpdated({ orderId: "ORD-3", eventId: "d" }),
];

/** A store in memory that can be opened again, and whose transactions can be made to fail. */
class Disk {
  readonly files = new MemoryFiles([orderProjection]);
  readonly #working = this.files.db;
  isFull = false;

  open(): PartitionStore {
    return new PartitionStore(this.files, [orderProjection], PARTITION, () => undefined);
  }

  /** From the next opening on, the statement fails while the disk is full. */
  failAt(isFaulty: (sql: string) => boolean): void {
    const fault: StatementFault = (run) => {
      if (this.isFull) throw diskFull();
      return run();
    };
    this.files.db = withFaults(this.#working, (sql) => (isFaulty(sql) ? fault : undefined));
  }
}

/** Applies the log up to an offset. */
function apply(store: PartitionStore, to: number): void {
  let last = store.last;
  for (let offset = store.nextOffset ?? 0; offset < to; offset++) {
    const record = logRecordOf(LOG[offset] as OrderEvent, offset);
    store.projections.fold(record);
    last = { offset, checksum: offset, leaderEpoch: 7 };
  }
  store.keep(to, last);
}

async function synced(store: PartitionStore): Promise<StoreSaving> {
  const saving = store.save();
  await saving.synced;
  return saving;
}

const statusOf = (store: PartitionStore, orderId: string) => store.view(orderProjection).order(orderId)?.status;

/** The digest of the log's first records. */
function digestAt(offset: number): string | undefined {
  const store = new Disk().open();
  apply(store, offset);
  return store.projections.digest;
}

describe("a partition's store", () => {
  test("answers what is applied, whether or not it is saved", () => {
    const store = new Disk().open();
    expect([store.nextOffset, store.isBehind]).toEqual([undefined, false]);
    apply(store, 2);
    expect([store.nextOffset, store.isBehind, statusOf(store, "ORD-1")]).toEqual([2, true, "shipped"]);
    expect(store.projections.digest).toBe(digestAt(2) as string);
  });

  test("is opened again where it was saved, with the digest of that prefix (I2)", async () => {
    const disk = new Disk();
    const store = disk.open();
    store.topicId = "topic";
    apply(store, 2);
    (await synced(store)).commit();
    expect(store.isBehind).toBe(false);
    apply(store, 4);
    const again = disk.open();
    expect([again.nextOffset, again.projections.digest]).toEqual([2, digestAt(2)]);
    expect(again.last).toEqual({ offset: 1, checksum: 1, leaderEpoch: 7 });
    expect([again.topicId, again.firstOffset, again.isLastOfAll, again.isBehind]).toEqual(["topic", 0, true, false]);
    expect([statusOf(again, "ORD-1"), statusOf(again, "ORD-2")]).toEqual(["shipped", undefined]);
    apply(again, 4);
    expect(again.projections.digest).toBe(digestAt(4) as string);
  });

  test("saves what was applied when the saving began, and not what is applied during it", async () => {
    const disk = new Disk();
    const store = disk.open();
    apply(store, 1);
    const saving = store.save();
    apply(store, 3);
    await saving.synced;
    saving.commit();
    expect([store.nextOffset, store.isBehind]).toEqual([3, true]);
    const meanwhile = disk.open();
    expect([meanwhile.nextOffset, meanwhile.projections.digest, meanwhile.last?.offset]).toEqual([1, digestAt(1), 0]);
    (await synced(store)).commit();
    const after = disk.open();
    expect([after.nextOffset, after.projections.digest, after.last?.offset]).toEqual([3, digestAt(3), 2]);
  });

  test("saves later what was given up, with what was applied since", async () => {
    const disk = new Disk();
    const store = disk.open();
    apply(store, 2);
    const saving = await synced(store);
    apply(store, 3);
    saving.abandon();
    expect([store.isBehind, disk.open().nextOffset]).toEqual([true, undefined]);
    (await synced(store)).commit();
    const again = disk.open();
    expect([again.nextOffset, again.projections.digest]).toEqual([3, digestAt(3)]);
  });

  test.each([
    ["before anything is written", (sql: string) => sql === "BEGIN IMMEDIATE"],
    ["between its rows and its position", isPositionWrite],
    ["when it is committed", (sql: string) => sql === "COMMIT"],
  ])("has written nothing if the transaction fails %s, and may commit it again (I2)", async (_, isFaulty) => {
    const disk = new Disk();
    disk.failAt(isFaulty);
    const store = disk.open();
    apply(store, 2);
    const saving = await synced(store);
    disk.isFull = true;
    expect(() => saving.commit()).toThrow("full");
    const meanwhile = disk.open();
    expect([meanwhile.nextOffset, meanwhile.projections.digest, store.isBehind]).toEqual([undefined, digestAt(0), true]);
    disk.isFull = false;
    saving.commit();
    const again = disk.open();
    expect([again.nextOffset, again.projections.digest, store.isBehind]).toEqual([2, digestAt(2), false]);
  });

  test("whose partition was empty says so after a restart", async () => {
    const disk = new Disk();
    const store = disk.open();
    store.keep(0, undefined);
    expect(store.isBehind).toBe(true);
    (await synced(store)).commit();
    expect([disk.open().nextOffset, disk.open().last, disk.open().firstOffset]).toEqual([0, undefined, 0]);
  });

  test("that cannot be opened gives its files back", () => {
    const disk = new Disk();
    let closed = 0;
    disk.files.close = () => void closed++;
    PartitionStore.open(disk.files, [orderProjection], PARTITION).close();
    expect(closed).toBe(1);
    disk.failAt((sql) => sql.startsWith("SELECT digest"));
    disk.isFull = true;
    expect(() => PartitionStore.open(disk.files, [orderProjection], PARTITION)).toThrow("full");
    expect(closed).toBe(2);
  });
});
