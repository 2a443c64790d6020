import { expect, test } from "bun:test";
import { LogFailures } from "../../../src/runtime/read/log-failures.ts";
import { ManualClock } from "../../support/manual-clock.ts";

test("of a partition that is suspended behind a transaction, what is told of the transaction is the transaction", () => {
  const told: string[] = [];
  const failures = new LogFailures("t", new ManualClock(), (message) => void told.push(message));
  const sentence = "Another program's transaction is open at offset 5.";
  const hidden = { from: 5, lasting: { sentence, since_ms: 0 } };
  failures.tellOfSome([
    { partition: 3, state: "suspended", hindered: "The disk is full.", unreadableSince_ms: undefined, hidden },
  ]);
  expect(told).toEqual([
    expect.stringMatching(/behind other programs' transactions fails .*: partition 3: .* open at offset 5\.$/),
  ]);
});
