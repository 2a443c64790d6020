import type { PartitionView } from "../../../src/runtime/held-partitions.ts";

/** The `view` of a partition made up for a test: it gives the same view for every projection. */
export const onlyView = (view: unknown): PartitionView["view"] => (() => view) as PartitionView["view"];
