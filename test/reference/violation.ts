/** A promise that the system broke. */
export class Violation extends Error {
  constructor(
    readonly invariant: string,
    detail: string,
    /** Whose history shows how it came about. */
    readonly orderId?: string,
  ) {
    super(`${invariant}: ${detail}`);
  }
}

/** Throws a Violation where two lists, in the same order, part. */
export function compareRows(invariant: string, where: string, found: readonly string[], expected: readonly string[]): void {
  for (let n = 0; n < Math.max(found.length, expected.length); n++) {
    if (found[n] === expected[n]) continue;
    throw new Violation(invariant, `${where} has ${found[n] ?? "no row"}, where that prefix gives ${expected[n] ?? "none"}`);
  }
}

/** Whatever else a run throws is a defect too. */
export const asViolation = (e: unknown): Violation =>
  e instanceof Violation ? e : new Violation("no-crash", e instanceof Error ? (e.stack ?? e.message) : String(e));
