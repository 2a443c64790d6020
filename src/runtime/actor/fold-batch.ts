import type { Batch } from "../../log/port.ts";
import type { DeadLetter } from "./actor-environment.ts";
import { UNDECODABLE_BATCH } from "../../log/record-headers.ts";
import type { Fold } from "../projection.ts";
import { lastOffsetOf } from "../store/store.ts";

/** Folds the batch's records from `nextOffset` on, in memory. Returns those that are dead letters. */
export function foldBatch({ records }: Batch, nextOffset: number, projections: Fold): DeadLetter[] {
  const letters: DeadLetter[] = [];
  for (const record of records) {
    const { undecodable } = record;
    if (lastOffsetOf(record) < nextOffset) continue;
    const reason = undecodable ? { code: UNDECODABLE_BATCH, detail: undecodable.reason } : projections.fold(record);
    if (reason) letters.push({ ...reason, record });
  }
  return letters;
}
