import type { Batch, FetchResult, LogRecord } from "../../port.ts";
import { type RecordBlock, recordsOf } from "../../record-block.ts";
import type { AnswerMemory } from "../connection/answer-buffers.ts";
import type { PartitionAnswer, WantedPartition } from "../protocol/fetch.ts";
import { decodeBatches, type UnpackBudget } from "../records/record-batch.ts";

/** How much one answer may unpack to, not counting its last batch. The rest is fetched again. */
export const ANSWER_UNPACKED_BYTES_MAX = 64 * 1024 * 1024;

export interface AnswerContext {
  /**
   * Whether this is the first of the answer's partitions that has bytes: the broker gives at least its first batch
   * whole (KIP-74).
   */
  readonly isFirst: boolean;
  /** Whether the answer is to be told even if it brings nothing. */
  readonly isOwed: boolean;
  /** When the leader was asked, on the process's clock. */
  readonly asked_ms?: number | undefined;
  /** How much the answer may still unpack to. */
  readonly budget: UnpackBudget;
  readonly memory: AnswerMemory;
}

/** What a leader's answer tells of one partition; undefined if there is nothing to tell. */
export function readAnswer(
  { offset, leaderEpoch }: WantedPartition,
  { partition, bytes, highWatermark, stableOffset, aborted }: PartitionAnswer,
  { isFirst, isOwed, asked_ms, budget, memory }: AnswerContext,
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
    const epoch = Math.max(0, leaderEpoch);
    const batch = new BlockBatch(partition, offset, nextOffset, highWatermark, asked_ms, stable, epoch, blocks, memory.held());
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
    readonly asked_ms: number | undefined,
    readonly stableOffset: number,
    readonly leaderEpoch: number,
    readonly blocks: readonly RecordBlock[],
    private memory: AnswerMemory | undefined,
  ) {}

  release(): void {
    this.memory?.release();
    this.memory = undefined;
  }

  get records(): readonly LogRecord[] {
    return (this.#records ??= recordsOf(this.blocks));
  }
}
