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

/** Returns the partition if it is held here. Throws NOT_FOUND or PARTITION_ELSEWHERE. */
export function heldPartition(partitions: HeldPartitions, partition: number): PartitionView {
  const found = partitions.get(partition);
  if (found) return found;
  const { partitionCount } = partitions;
  // A partition that the topic does not have is held by no instance. While the number of partitions is unknown,
  // another instance may hold it.
  if (partitionCount > 0 && partition >= partitionCount)
    throw new AppError("NOT_FOUND", `There is no partition ${partition}; the topic has ${partitionCount}.`);
  throw new AppError("PARTITION_ELSEWHERE", `Partition ${partition} is not held here.`, { partition });
}
