import { AppError } from "../../src/errors.ts";
import type { HeldPartitions } from "../../src/runtime/held-partitions.ts";
import { foundIn, type KnownOrder, knownIn, notFound, type PartitionOf } from "../../src/services/orders/query/known-order.ts";
import { toldOr } from "../../src/services/orders/query/order-question.ts";

interface FoundOrder {
  readonly orderId: string;
  readonly status: string;
}

/**
 * The order as an instance answers it that has no others to ask. `searched` are partitions whose unread records were
 * looked through. Throws what is answered if it is not found.
 */
export function findOrder(
  partitions: HeldPartitions,
  partitionOf: PartitionOf,
  orderId: string,
  searched: ReadonlySet<number> = new Set(),
): FoundOrder {
  const { partitionCount } = partitions;
  const home = partitionCount === 0 ? undefined : partitionOf(orderId, partitionCount);
  const told = new Map<number, KnownOrder | AppError>();
  const heldHome = home === undefined ? undefined : partitions.get(home);
  if (home !== undefined && heldHome !== undefined) {
    const known = knownIn(partitions, heldHome, orderId, { isHome: true });
    if (known.details !== undefined) return orderIn(known.details);
    told.set(home, known);
  }
  for (let partition = 0; partition < partitionCount; partition++) {
    const held = partition === home ? undefined : partitions.get(partition);
    if (held !== undefined)
      told.set(
        partition,
        toldOr(() => knownIn(partitions, held, orderId, { isHome: false, isSearched: searched.has(partition) })),
      );
    else if (!told.has(partition))
      told.set(partition, new AppError("PARTITION_ELSEWHERE", `Partition ${partition} is not held here.`));
  }
  const found = foundIn(told, home);
  if (found === undefined) throw notFound(orderId, told, home, partitionCount, partitions);
  return orderIn(found.details);
}

const orderIn = (details: string): FoundOrder => (JSON.parse(details) as { readonly order: FoundOrder }).order;
