import { isAppError } from "../../errors.ts";
import type { TopicEnds } from "../../log/port.ts";
import type { Order } from "../../orders/order.ts";
import { misfit } from "../../runtime/snapshots/choosing.ts";
import { reach } from "../../runtime/snapshots/manifest.ts";
import type { Snapshots } from "../../runtime/snapshots/snapshots.ts";
import { SavedOrders } from "../../services/orders/state/saved-orders.ts";
import { KNOWN_STORES } from "../snapshot/known-stores.ts";
import { restoredCopy } from "../snapshot/restored-copy.ts";
import type { ReferenceOrder } from "./reference-fold.ts";

/** What the log had before its first records, as a snapshot has it. */
export interface StartState {
  /** The snapshot's name. */
  readonly name: string;
  /** Everything before it is in the orders. */
  readonly nextOffset: number;
  /** The first offset that was folded. */
  readonly firstOffset: number;
  readonly orders: readonly ReferenceOrder[];
}

/** Finds the start of a partition's fold, at an offset that the service has applied; undefined if there is none. */
export type FindStart = (partition: number, ends: TopicEnds, applied: number) => Promise<StartState | undefined>;

/** Starts are read from the newest snapshots that fit. `directory` is for stores that are made of them meanwhile. */
export function startsFromSnapshots(snapshots: Snapshots, logId: string, topic: string, directory: string): FindStart {
  const known = KNOWN_STORES.find(({ role }) => role === "order-service");
  return async (partition, ends, applied) => {
    if (known === undefined) return undefined;
    const subject = { logId, topic, partition, kind: known.kind };
    for (const one of (await snapshots.list(subject)).filter(({ isFinished }) => isFinished)) {
      try {
        const manifest = await snapshots.read(one);
        if (misfit(manifest, subject, ends) !== undefined || reach(manifest) > applied) continue;
        using copy = await restoredCopy({ name: one.name, manifest }, known, snapshots, directory);
        const orders = Array.from(new SavedOrders(copy.files).rowsAfter(""), ({ orderId, order, held, eventIds }) => ({
          orderId,
          order: order && inMemory(order),
          held: [...held],
          eventIds: new Set(eventIds),
        }));
        const [position] = manifest.positions;
        return { name: one.name, nextOffset: reach(manifest), firstOffset: position?.firstOffset ?? 0, orders };
      } catch (e) {
        if (!isAppError(e, "SNAPSHOT_UNUSABLE")) throw e;
      }
    }
    return undefined;
  };
}

/** What the create said is in the store's file, which is closed soon. */
const inMemory = ({ created, status }: Order): Order => {
  const { orderId, customerId, orderDate, items, total_hundredths, currency } = created;
  return { created: { orderId, customerId, orderDate, items, total_hundredths, currency }, status };
};
