import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { INVARIANTS } from "./simulation/planted/planted-bug.ts";
import { PLANTED_BUGS } from "./simulation/planted/planted-bugs.ts";

/**
 * Each invariant can be followed: it is told in docs/ARCHITECTURE.md, marked at a line of the source that keeps it,
 * named in a test that fails without it, and broken by a planted bug.
 */
const root = join(import.meta.dir, "..");
const textsOf = (pattern: string): string[] =>
  [...new Bun.Glob(pattern).scanSync(root)].map((path) => readFileSync(join(root, path), "utf8"));

const source = textsOf("src/**/*.ts");
const tests = textsOf("test/**/*.test.ts").concat(textsOf("test/**/*-contract.ts"));
const architecture = textsOf("docs/ARCHITECTURE.md");

const isMarked = (texts: readonly string[], invariant: string): boolean =>
  texts.some((text) => new RegExp(`^\\s*(?://|/?\\*).*\\b${invariant}\\b`, "m").test(text));
const isTested = (texts: readonly string[], invariant: string): boolean =>
  texts.some((text) => new RegExp(`\\(\\s*(?:"[^"]*|\`[^\`]*)\\(${invariant}\\)["\`]`).test(text));
const isTold = (texts: readonly string[], invariant: string): boolean => texts.some((text) => text.includes(`**${invariant}** `));

describe.each(INVARIANTS)("%s", (invariant) => {
  test("is told in the architecture", () => expect(isTold(architecture, invariant)).toBe(true));
  test("is marked at a line of the source", () => expect(isMarked(source, invariant)).toBe(true));
  test("is in the name of a test", () => expect(isTested(tests, invariant)).toBe(true));
  test("is broken by a planted bug", () => {
    expect(Object.values(PLANTED_BUGS).some(({ breaks }) => breaks === invariant)).toBe(true);
  });
});

test("a mark counts in a comment alone, a test by its name alone, and one number is not taken for another", () => {
  expect(isMarked(["// I1: kept here"], "I1")).toBe(true);
  expect(isMarked(['const a = "I1";', "// I10: bounded"], "I1")).toBe(false);
  expect(isTested(['test("it holds (I1)", () => undefined)'], "I1")).toBe(true);
  expect(isTested(["// test of I1", 'test("it holds (I10)", () => undefined)'], "I1")).toBe(false);
});
