import { expect, test } from "bun:test";
import { lostHeadConcern, lostHeads } from "../../../src/runtime/topics/lost-heads.ts";

const ends = (startOffset: number) => ({ startOffset, endOffset: 9, stableOffset: 9, leaderEpoch: 0 });
const held = (partition: number, startedAt = 0) => ({ partition, startedAt, hasStore: true });

test("a head is lost where the log begins after the state, and not where the state began there, is not open, or nobody knows", () => {
  const log = [ends(0), ends(4), ends(4), ends(5), ends(4), { unavailable: "no leader" }];
  const state = [held(0), held(1), held(2, 4), held(3, 4), { ...held(4), hasStore: false }, held(5), held(6)];
  expect(lostHeads(state, log)).toEqual([
    { partition: 1, startOffset: 4 },
    { partition: 3, startOffset: 5 },
  ]);
});

test("a head is not lost where a snapshot has it", () => {
  const log = [ends(4), ends(4)];
  const state = [
    { ...held(0), snapshot: { offset: 4 } },
    { ...held(1), snapshot: { offset: 3 } },
  ];
  expect(lostHeads(state, log)).toEqual([{ partition: 1, startOffset: 4 }]);
});

test("of many partitions three are named", () => {
  const heads = Array.from({ length: 12 }, (_, partition) => ({ partition, startOffset: 7 }));
  expect(lostHeadConcern("t", heads)?.what).toContain("partition 2 begins at offset 7, and 9 more)");
  expect(lostHeadConcern("t", [])).toBeUndefined();
});
