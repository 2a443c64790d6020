import type { Slot } from "./run.ts";

/**
 * Which runs are merged, and how soon. Runs of about one size are merged as soon as there are `FAN` of them. The
 * oldest run has nearly all records. It is merged with the newer runs once they replace `OVERHANG` of its records, and so
 * fast that they replace as many again when the merge is done. In this way the file has at most `OVERHANG` more than
 * what is live, and what the step under way has written.
 */
const FAN = 8;
const OVERHANG = 0.3;
/** Runs with fewer records count as of one size. */
const SMALL_RECORDS = 256 * FAN;
/** A merge is done at the latest when this share of its records was added since it began. */
const ADDED_SHARE = 0.5;
/** A merge that has begun late makes up for it, but by no more than so many records for each that is added. */
const PACE_MAX = 6;
/** Steps are no shorter than this, so that segments and writes are not, either. */
const STEP_RECORDS = 16_384;

/** Those of the slots, newest first, that are to become one: `from` to before `to`. */
export interface MergeDue {
  readonly from: number;
  readonly to: number;
}

/** The merges that are to begin, the one of the oldest runs first. */
export function mergesDue(slots: readonly Slot[]): MergeDue[] {
  const due: MergeDue[] = [];
  const oldest = oldestDue(slots);
  const behind = oldest?.from ?? slots.length;
  let from = 0;
  let level = 0;
  for (let n = 0; n <= behind; n++) {
    const slot = slots[n];
    const isGroup = n < behind && slot !== undefined && !slot.isMerging && (levelOf(slot) <= level || n === from);
    if (!isGroup && n - from >= FAN) due.push({ from, to: n });
    if (slot === undefined) break;
    if (!isGroup) from = slot.isMerging ? n + 1 : n;
    level = Math.max(level, levelOf(slot));
  }
  if (oldest !== undefined) due.push(oldest);
  return due.toReversed();
}

/** How many records ought to be merged in the n-th slot, now that those are added above all slots. */
export function owedIn(slots: readonly Slot[], n: number, added: Pick<Slot, "records" | "replaced">): number {
  const slot = slots[n] as Slot;
  let { records, replaced } = added;
  for (let i = 0; i < n; i++) {
    const newer = slots[i] as Slot;
    records += newer.records;
    replaced += newer.replaced;
  }
  const inTime = records / ADDED_SHARE;
  const isOldest = n === slots.length - 1;
  const due = isOldest ? Math.max(inTime, (replaced * (1 + OVERHANG)) / OVERHANG) : inTime;
  const step = Math.min(STEP_RECORDS, slot.left);
  const owed = Math.ceil(Math.min(slot.left, due - slot.run.records, Math.max(step, PACE_MAX * added.records)));
  return owed >= step ? owed : 0;
}

/** The oldest run and all above it that are in no merge, if those replace many enough of its records. */
function oldestDue(slots: readonly Slot[]): MergeDue | undefined {
  const last = slots.length - 1;
  const oldest = slots[last];
  if (oldest === undefined || oldest.isMerging) return undefined;
  let from = last;
  let replaced = 0;
  for (; from > 0; from--) {
    const slot = slots[from - 1] as Slot;
    if (slot.isMerging) break;
    replaced += slot.replaced;
  }
  return from < last && replaced >= OVERHANG * oldest.records ? { from, to: last + 1 } : undefined;
}

const levelOf = ({ records }: Slot): number =>
  records < SMALL_RECORDS ? 0 : Math.floor(Math.log(records / SMALL_RECORDS) / Math.log(FAN)) + 1;
