import { expect, test } from "bun:test";
import { RetryBudget, RETRIES_AT_ONCE_MAX } from "../../src/fleet/retry-budget.ts";

test("of many hops that all fail, a tenth is tried again, and some more at the beginning", () => {
  const budget = new RetryBudget();
  let retries = 0;
  for (let n = 0; n < 1_000; n++) {
    budget.asked();
    if (budget.take()) retries++;
  }
  expect(retries).toBeGreaterThanOrEqual(100);
  expect(retries).toBeLessThanOrEqual(100 + RETRIES_AT_ONCE_MAX);
});

test("a quiet time saves up no more than some", () => {
  const budget = new RetryBudget();
  for (let n = 0; n < 10_000; n++) budget.asked();
  expect(Array.from({ length: 100 }, () => budget.take()).filter(Boolean)).toHaveLength(RETRIES_AT_ONCE_MAX);
});
