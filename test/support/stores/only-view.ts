import type { PartitionView } from "../../../src/runtime/held-partitions.ts";

/** Of a partition made up for a test: whichever projection is asked for, this is its view. */
export const onlyView = (view: unknown): PartitionView["view"] => (() => view) as PartitionView["view"];
