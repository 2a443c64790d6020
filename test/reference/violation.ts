import { isDamage } from "../../src/runtime/store/store-failures.ts";

/** A promise that the system broke. */
export class Violation extends Error {
  constructor(
    readonly invariant: string,
    detail: string,
    /** The order whose history shows how it came about. */
    readonly orderId?: string,
  ) {
    super(`${invariant}: ${detail}`);
  }
}

/** Throws a Violation at the first difference between two lists in the same order. */
export function compareRows(invariant: string, where: string, found: readonly string[], expected: readonly string[]): void {
  for (let n = 0; n < Math.max(found.length, expected.length); n++) {
    if (found[n] === expected[n]) continue;
    throw new Violation(invariant, `${where} has ${found[n] ?? "no row"}, where that prefix gives ${expected[n] ?? "none"}`);
  }
}

/** Anything else that a run throws is a defect as well. A store that is damaged is one, as no disk there damages any. */
export function asViolation(e: unknown): Violation {
  if (e instanceof Violation) return e;
  const detail = e instanceof Error ? (e.stack ?? e.message) : String(e);
  return new Violation(isDamage(e) ? "stores-are-whole" : "no-crash", detail);
}
