import { expect, test } from "bun:test";
import { BlockSpace } from "../../../../src/runtime/store/runs/block-space.ts";
import { range } from "./runs-rig.ts";

test("the lowest free block is taken, whichever are given back", () => {
  const space = new BlockSpace();
  expect(range(0, 5_000).map(() => space.take())).toEqual(range(0, 5_000));
  for (const block of [4_321, 31, 32, 0]) space.give(block);
  expect(space.count).toBe(4_996);
  expect(range(0, 5).map(() => space.take())).toEqual([0, 31, 32, 4_321, 5_000]);
});

test("a block that is in use cannot be taken", () => {
  const space = new BlockSpace();
  expect(space.end).toBe(0);
  expect(space.takeAt(70_000)).toBe(true);
  expect(space.takeAt(70_000)).toBe(false);
  expect(space.end).toBe(70_001);
  space.give(70_000);
  expect(space.end).toBe(0);
  expect(space.takeAt(31)).toBe(true);
  expect(space.end).toBe(32);
});
