import type { HeldPartitions } from "../../../runtime/held-partitions.ts";
import { unavailableError } from "../index/soundness.ts";
import type { IndexProgress } from "../index/index-progress.ts";
import type { OrderIndex } from "../index/order-index.ts";
import { hasRead } from "./coverage.ts";
import { type Holders, indexElsewhere } from "./holders.ts";
import type { SharedWithPeers } from "./index-hops.ts";

export interface FindHereOptions {
  readonly partitions: HeldPartitions;
  readonly holders: Holders;
  readonly index: OrderIndex;
  readonly progress: IndexProgress;
}

/** How this cart answers what others ask about the indexes that it holds. */
export const findHere =
  ({ partitions, holders, index, progress }: FindHereOptions): SharedWithPeers["find"] =>
  async ({ orderId, eventId, toEnd }, partition, from, deadline_ms) => {
    if (!holders.isHere(partition)) throw indexElsewhere(partition);
    const known = eventId === undefined ? () => index.knownEnd(partition) : () => index.readEnd(partition);
    // One that is halted holds up nobody who only asks whether a key was used, or an order strayed there that cannot have.
    const isHalted = () => partitions.get(partition)?.state === "halted";
    const isShort = () => {
      const held = partitions.get(partition);
      return known() < from.offset && !(held && hasRead(held, from));
    };
    if (toEnd.includes(partition)) await progress.untilEndOf(partition, known, deadline_ms);
    else if (!isHalted()) {
      if (eventId !== undefined) await progress.untilNewestOf(partition, known, deadline_ms);
      await progress.until(partition, () => !isShort() || isHalted() || !holders.isHere(partition), deadline_ms);
    }
    for (;;) {
      // It may have been given away meanwhile.
      if (!holders.isHere(partition)) throw indexElsewhere(partition);
      const found = index.lookUp(partition, orderId, eventId);
      const isNothing = found.order === undefined && found.keyed === undefined;
      if (isNothing && isHalted()) {
        if (isShort() && index.mayHave(partition, orderId)) throw unavailableError(partitions, partition);
        return { ...found, mayLack: isShort() || eventId !== undefined };
      }
      if (isNothing || progress.isSound(partition)) return found;
      await progress.untilSound(partition, deadline_ms);
    }
  };
