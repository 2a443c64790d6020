import type { Placing } from "../../../src/services/cart/index/strays.ts";

/** How creates are placed in a topic of so many partitions. */
export const placingIn = (partitionCount: number): Placing => ({ partitioner: "murmur2", partitionCount: () => partitionCount });
