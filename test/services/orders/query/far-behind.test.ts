import { expect, test } from "bun:test";
import type { PartitionView } from "../../../../src/runtime/held-partitions.ts";
import { OPEN_TRANSACTION_MS_MIN } from "../../../../src/runtime/read/hidden-tail.ts";
import { KnownEnd } from "../../../../src/runtime/read/known-end.ts";
import { isFarBehind } from "../../../../src/services/orders/query/trust.ts";
import { ManualClock } from "../../../support/manual-clock.ts";

test("a transaction that begins in a partition that was idle marks its orders only once it has lasted", () => {
  const clock = new ManualClock();
  const end = new KnownEnd(clock);
  const marks = () =>
    isFarBehind({
      isLagging: end.isLagging(10, false),
      age_ms: end.age_ms(10, true),
      hindered: undefined,
      hidden: end.hidden.at(10),
      nextOffset: 10,
      endOffset: end.endOffset,
    } as PartitionView);
  end.note({ endOffset: 10, stableOffset: 10 }, 10);
  // Nothing is told of an idle partition until the next look.
  clock.leap(4_900);
  end.note({ endOffset: 11, stableOffset: 10 }, 10);
  expect(marks()).toBe(false);
  clock.leap(OPEN_TRANSACTION_MS_MIN);
  expect(marks()).toBe(true);
});
