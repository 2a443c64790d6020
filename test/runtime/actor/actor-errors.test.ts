import { expect, test } from "bun:test";
import { outOfRange } from "../../../src/runtime/actor/actor-errors.ts";

test("a store behind the log's start is first helped by whoever had the partition before, and one beyond its end is not", () => {
  const log = { startOffset: 4, endOffset: 9 };
  expect(outOfRange(3, log, "a.0.sqlite").message).toMatch(/First start the service that had this .* LOG_START=accept, too\. If/);
  expect(outOfRange(10, log, "a.0.sqlite").message).not.toContain("had this partition before");
});
