import { FAULT_KINDS, type FaultKind } from "./options.ts";

export interface Planned {
  readonly kind: FaultKind;
  /** The fault's number among those of its kind. */
  readonly n: number;
  readonly at_ms: number;
}

/**
 * There are no faults in the first and the last part of a run: it has to start up, and the last fault has to have its
 * effect.
 */
const BEGIN_SHARE = 0.03;
const END_SHARE = 0.92;

/**
 * Decides when each fault is due: each kind is spread evenly over the run, at a random moment in each of its equal
 * parts.
 */
export function schedule(counts: Readonly<Record<FaultKind, number>>, length_ms: number, random: () => number): Planned[] {
  const begin_ms = length_ms * BEGIN_SHARE;
  const span_ms = length_ms * (END_SHARE - BEGIN_SHARE);
  return FAULT_KINDS.flatMap((kind) =>
    Array.from({ length: counts[kind] }, (_, n) => ({ kind, n, at_ms: begin_ms + (span_ms * (n + random())) / counts[kind] })),
  ).toSorted((a, b) => a.at_ms - b.at_ms);
}
