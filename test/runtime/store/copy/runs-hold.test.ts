import { expect, test } from "bun:test";
import { BLOCK_BYTES } from "../../../../src/runtime/store/runs/blocks.ts";
import { throwsDamage } from "../../../support/stores/throws-damage.ts";
import { range, recordsOf, RunsRig } from "../runs/runs-rig.ts";

const KEYS = range(0, 4_000, 2);

/** Runs that have been changed so often that there are free blocks. */
function changedRuns(): RunsRig {
  const rig = new RunsRig();
  for (let n = 0; n < 6; n++) rig.put(recordsOf(KEYS, `record ${n}`), 1e9);
  return rig;
}

const blocksOf = (hold: ReturnType<RunsRig["runs"]["hold"]>): Map<number, string> =>
  new Map([...hold.pieces()].map(({ at, bytes }) => [at, Buffer.from(bytes).toString("latin1")]));

test("what is held stays as it was, however often the runs change meanwhile", () => {
  const rig = changedRuns();
  const hold = rig.runs.hold();
  const before = blocksOf(hold);
  expect(before.size).toBeGreaterThan(0);
  for (let n = 0; n < 12; n++) rig.put(recordsOf(KEYS, `later ${n}`), 1e9);
  expect(blocksOf(hold)).toEqual(before);
  expect(hold.isBroken).toBe(false);
  hold.release();
});

test("what was held is written over once it is released, so the file stops growing", () => {
  const rig = changedRuns();
  const hold = rig.runs.hold();
  for (let n = 0; n < 12; n++) rig.put(recordsOf(KEYS, `later ${n}`), 1e9);
  hold.release();
  const { size } = rig.file;
  for (let n = 0; n < 6; n++) rig.put(recordsOf(KEYS, `released ${n}`), 1e9);
  expect(rig.file.size).toBeLessThanOrEqual(size + BLOCK_BYTES);
  rig.runs.hold().release();
});

test("a hold breaks once 16,384 blocks wait, and all it has (I10)", () => {
  const rig = changedRuns();
  const hold = rig.runs.hold();
  const [first] = [...hold.pieces()];
  const block = (first?.at ?? 0) / BLOCK_BYTES;
  for (let n = 0; n < 16_384; n++) expect(hold.keep(block)).toBe(true);
  expect(hold.isBroken).toBe(false);
  hold.keep(block);
  expect(hold.isBroken).toBe(true);
  // From now on, what is freed may be written over at once.
  expect(hold.keep(block)).toBe(false);
});

test("a block that is not what was written there is damage, and not copied", () => {
  const rig = changedRuns();
  const hold = rig.runs.hold();
  const [first] = [...hold.pieces()];
  rig.file.damage((first?.at ?? 0) + 99);
  expect(throwsDamage(() => blocksOf(hold))).toBe(true);
});
