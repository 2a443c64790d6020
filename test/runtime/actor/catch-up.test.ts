import { expect, test } from "bun:test";
import { CatchUp } from "../../../src/runtime/actor/catch-up.ts";

test("a partition runs once the end that it heard of is applied, and not for what comes later", () => {
  const catchUp = new CatchUp();
  catchUp.reach(9);
  expect(catchUp.isRunning).toBe(false);
  catchUp.hear(5, 2, false);
  expect(catchUp.behind(2)).toBe(3);
  catchUp.hear(8, 4, false);
  expect(catchUp.behind(4)).toBe(1);
  catchUp.reach(5);
  expect([catchUp.isRunning, catchUp.behind(5)]).toEqual([true, 0]);
});

test("an end that a newer leader has lost is not waited for; what an old leader tells changes nothing", () => {
  const catchUp = new CatchUp();
  catchUp.hear(9, 2, false);
  catchUp.hear(4, 2, true);
  expect(catchUp.behind(2)).toBe(7);
  catchUp.hear(6, 2, false);
  expect(catchUp.behind(2)).toBe(4);
});

test("once all was known it counts as known until the log is heard to have more", () => {
  const catchUp = new CatchUp();
  expect(catchUp.wasComplete).toBe(false);
  catchUp.hear(0, 0, false);
  catchUp.reach(0);
  catchUp.forgetEnd();
  expect([catchUp.isRunning, catchUp.wasComplete]).toEqual([false, true]);
  catchUp.hear(3, 3, false);
  expect(catchUp.wasComplete).toBe(true);
  catchUp.forgetEnd();
  catchUp.hear(4, 3, false);
  expect(catchUp.wasComplete).toBe(false);
});

test("what is applied counts as all where the log never told an end, and not where it did", () => {
  const [unheard, heard] = [new CatchUp(), new CatchUp()];
  heard.hear(4, 3, false);
  for (const catchUp of [unheard, heard]) catchUp.takeAppliedForAll();
  expect([unheard.wasComplete, heard.wasComplete]).toEqual([true, false]);
});
