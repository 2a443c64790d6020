import { expect, test } from "bun:test";
import { DEAD_OUTCOME_CODES, factsOf, type Outcome, OUTCOMES, RECORD_COUNTS } from "../../src/orders/outcomes.ts";

test.each(Object.keys(OUTCOMES) as Outcome[])("%s is counted as dead if it is a dead letter, and never else", (outcome) => {
  const { count, deadLetter, isKept, isReadable } = factsOf(outcome);
  expect({ isDead: count === "dead" }).toEqual({ isDead: deadLetter !== undefined });
  expect(RECORD_COUNTS).toContain(count);
  if (deadLetter) {
    expect(DEAD_OUTCOME_CODES).toContain(deadLetter.code);
    expect(deadLetter.detail("ORD-7")).toContain("ORD-7");
  }
  // An event that changes an answer, or waits to, must not take effect twice.
  if (isReadable || count === "held") expect(isKept).toBe(true);
});
