import { AppError } from "../../../errors.ts";
import { endOfLog, type HeldPartitions, type PartitionView } from "../../../runtime/held-partitions.ts";

/**
 * Whether the index's rows of a partition may be answered from (I8): it was read to its end once, and is neither known nor
 * suspected to belong to another log.
 */
export const isSound = (held: PartitionView | undefined): boolean =>
  held !== undefined && held.isComplete && held.doubt === undefined && held.state !== "halted";

/** Whether the index follows the partition, so that it can tell which create of an order is the first. */
export const isCurrent = (held: PartitionView | undefined): boolean =>
  isSound(held) && held?.state === "running" && held.hindered === undefined;

/** Says why the index of a partition cannot answer now. */
export function unavailableError(partitions: HeldPartitions, partition: number): AppError {
  const { readFailure } = partitions;
  const held = partitions.get(partition);
  const error = (code: ConstructorParameters<typeof AppError>[0], message: string) => new AppError(code, message, { partition });
  if (held?.state === "halted")
    return error("PARTITION_HALTED", `The index of partition ${partition} is halted: ${held.halted ?? "see the log."}`);
  if (readFailure !== undefined) return new AppError("LOG_UNAVAILABLE", readFailure);
  if (!held) return error("CATCHING_UP", `Partition ${partition} is not known here yet; try again.`);
  const { doubt, hindered, state, nextOffset, endOffset } = held;
  if (doubt !== undefined)
    return error("LOG_UNAVAILABLE", `Partition ${partition} is compared with what was read of it: ${doubt}`);
  if (hindered !== undefined) {
    const waits = state === "blocked" || state === "suspended";
    return error(waits ? "PARTITION_BLOCKED" : "LOG_UNAVAILABLE", `Partition ${partition} cannot be read now: ${hindered}`);
  }
  return error(
    "CATCHING_UP",
    `The index of partition ${partition} is catching up: the next offset that it reads is ${nextOffset}, and ${endOfLog(nextOffset, endOffset)}; try again.`,
  );
}
