import type { Batch, LogRecord } from "../../log/port.ts";
import { offsetIn } from "../../log/record-block.ts";
import { UNDECODABLE_BATCH } from "../../log/record-headers.ts";
import type { DeadLetterReason, Fold } from "../projection.ts";
import { lastOffsetOf } from "../store/position/last-record.ts";
import type { DeadLetter } from "./actor-environment.ts";

/** Folds the batch's records from `nextOffset` on, in memory. Returns those that are dead letters. */
export function foldBatch(batch: Batch, nextOffset: number, projections: Fold): DeadLetter[] {
  const letters: DeadLetter[] = [];
  const onRefused = (record: LogRecord, reason: DeadLetterReason) => void letters.push({ ...reason, record });
  const foldOne = (record: LogRecord): void => {
    const { undecodable } = record;
    if (lastOffsetOf(record) < nextOffset) return;
    const reason = undecodable ? { code: UNDECODABLE_BATCH, detail: undecodable.reason } : projections.fold(record);
    if (reason) onRefused(record, reason);
  };
  projections.prepare?.(batch, nextOffset);
  const { blocks } = batch;
  if (blocks === undefined || projections.foldBlock === undefined) {
    for (const record of batch.records) foldOne(record);
    return letters;
  }
  for (const block of blocks) {
    if (block.undecodable) foldOne(block.record(0));
    else if (offsetIn(block, block.count - 1) >= nextOffset) projections.foldBlock(block, nextOffset, onRefused);
  }
  return letters;
}
