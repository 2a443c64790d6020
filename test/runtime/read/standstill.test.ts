import { expect, test } from "bun:test";
import { Standstill } from "../../../src/runtime/read/standstill.ts";

const at = (nextOffset: number, state: "running" | "halted" | "catching-up" = "running", hindered?: string) => [
  { partition: 3, state, nextOffset, hindered },
];
/** The end offset of the log, and the stable offset up to which readers of committed records see it. */
const end = (endOffset: number, stableOffset = endOffset) =>
  [undefined, undefined, undefined, { startOffset: 0, endOffset, stableOffset, leaderEpoch: 0 }] as never;

function looks(standstill: Standstill, times: number, held: ReturnType<typeof at>, endOffset: number): boolean[] {
  return Array.from({ length: times }, () => standstill.look(held, end(endOffset)));
}

test("six looks in a row at the same offset, before the end, after the one that saw it first: due then, and again after six more", () => {
  const standstill = new Standstill(5_000);
  expect(looks(standstill, 6, at(10), 11)).not.toContain(true);
  expect(standstill.reason).toBeUndefined();
  expect(looks(standstill, 7, at(10), 11)).toEqual([true, false, false, false, false, false, true]);
  expect(standstill.reason).toBe(
    "For 30 s or longer nothing was applied: partition 3 at offset 10 of 11. The connections are made anew.",
  );
});

test("a record applied in between begins it anew and takes the reason back", () => {
  const standstill = new Standstill(5_000);
  looks(standstill, 7, at(10), 12);
  expect(standstill.reason).toContain("partition 3");
  expect(standstill.look(at(11), end(12))).toBe(false);
  expect(standstill.reason).toBeUndefined();
  expect(looks(standstill, 5, at(11), 12)).not.toContain(true);
  expect(looks(standstill, 1, at(11), 12)).toEqual([true]);
});

test("a partition that has read everything, is halted, or was taken away does not stand still", () => {
  const standstill = new Standstill(5_000);
  expect(looks(standstill, 20, at(11), 11)).not.toContain(true);
  expect(looks(standstill, 20, at(10, "halted"), 11)).not.toContain(true);
  expect(looks(standstill, 20, at(10, "running", "The partition has no leader."), 11)).not.toContain(true);
  looks(standstill, 6, at(10), 11);
  expect(standstill.look([], end(11))).toBe(false);
  expect(looks(standstill, 6, at(10), 11)).not.toContain(true);
});

test("what another program's open transaction hides is no standstill", () => {
  const standstill = new Standstill(5_000);
  for (let look = 0; look < 20; look++) expect(standstill.look(at(10), end(12, 10))).toBe(false);
  expect(standstill.reason).toBeUndefined();
});
