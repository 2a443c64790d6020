import { expect, test } from "bun:test";
import { range, recordsOf, RunsRig } from "./runs-rig.ts";

const KEYS = range(0, 4_000, 2);

test("after an opening, nothing that was there is written over before the first change is adopted", () => {
  const rig = new RunsRig();
  for (let n = 0; n < 6; n++) rig.put(recordsOf(KEYS, `record ${n}`));
  rig.put(new Map(), 1e9);
  const before = rig.bytes();
  const isKept = () => rig.bytes().subarray(0, before.length).equals(before);
  rig.open();
  rig.put(recordsOf(KEYS, "newest"));
  // A process that was killed may have left a commit that a power cut still takes back.
  expect(isKept()).toBe(true);
  rig.put(recordsOf(KEYS, "after it"));
  expect(isKept()).toBe(false);
});
