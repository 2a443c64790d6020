import type { Batch, FetchResult, LogRecord } from "../../port.ts";
import { type RecordBlock, recordsOf } from "../../record-block.ts";
import type { PartitionAnswer, WantedPartition } from "../protocol/fetch.ts";
import { decodeBatches, type UnpackBudget } from "../records/record-batch.ts";

export interface AnswerContext {
  /**
   * Whether this is the first of the answer's partitions that has bytes: the broker gives at least its first batch
   * whole (KIP-74).
   */
  readonly isFirst: boolean;
  /** Whether the answer is to be told even if it brings nothing. */
  readonly isOwed: boolean;
}

/** What a leader's answer tells of one partition; undefined if there is nothing to tell. */
export function readAnswer(
  { offset, leaderEpoch }: WantedPartition,
  { partition, bytes, highWatermark, stableOffset, aborted }: PartitionAnswer,
  budget: UnpackBudget,
  { isFirst, isOwed }: AnswerContext,
): FetchResult | undefined {
  const isNews = isOwed || (bytes.length === 0 && highWatermark > offset);
  if (bytes.length === 0 && !isNews) return undefined;
  const hasBudget = budget.left_bytes > 0;
  try {
    const { blocks, nextOffset } = decodeBatches(bytes, offset, aborted, budget);
    const isStuck = isFirst && hasBudget && bytes.length > 0 && nextOffset === offset;
    if (isStuck) return { partition, unreadable: "the broker's answer has no whole record batch for it" };
    if (nextOffset === offset && !isNews) return undefined;
    const stable = stableOffset < 0 ? highWatermark : stableOffset;
    const batch = new BlockBatch(partition, offset, nextOffset, highWatermark, stable, Math.max(0, leaderEpoch), blocks);
    return { partition, batch };
  } catch (e) {
    return { partition, unreadable: e instanceof Error ? e.message : String(e) };
  }
}

/** A batch whose records are made objects when these are first asked for. */
class BlockBatch implements Batch {
  #records: readonly LogRecord[] | undefined;

  constructor(
    readonly partition: number,
    readonly baseOffset: number,
    readonly nextOffset: number,
    readonly endOffset: number,
    readonly stableOffset: number,
    readonly leaderEpoch: number,
    readonly blocks: readonly RecordBlock[],
  ) {}

  get records(): readonly LogRecord[] {
    return (this.#records ??= recordsOf(this.blocks));
  }
}
