import { Type } from "@sinclair/typebox";
import { AppError } from "../../../errors.ts";
import { pathParameter } from "../../../http/endpoint/parameter.ts";
import type { PartitionView, HeldPartitions } from "../../../runtime/held-partitions.ts";

export const partitionParameter = pathParameter("partition", {
  description: "Its number.",
  schema: Type.String({ pattern: "^[0-9]{1,9}$" }),
  example: "3",
  decode: Number,
  refusal: () => new AppError("NOT_FOUND", "A partition is a number, such as in /partitions/3/orders."),
});

/** Throws NOT_FOUND or PARTITION_ELSEWHERE. */
export function heldPartition(partitions: HeldPartitions, partition: number): PartitionView {
  const found = partitions.get(partition);
  if (found) return found;
  const { partitionCount } = partitions;
  // No other instance holds what the topic does not have. While that is not known, one may.
  if (partitionCount > 0 && partition >= partitionCount)
    throw new AppError("NOT_FOUND", `There is no partition ${partition}; the topic has ${partitionCount}.`);
  throw new AppError("PARTITION_ELSEWHERE", `Partition ${partition} is not held here.`, { partition });
}
