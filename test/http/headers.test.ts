import { describe, expect, test } from "bun:test";
import { parseTracestate } from "../../src/http/headers.ts";

describe("tracestate", () => {
  test.each([
    ["rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"],
    ["a=1 ,\t b=2,,", "a=1,b=2"],
    ["0tenant@vendor=x y!", "0tenant@vendor=x y!"],
    [`a=${"x".repeat(256)}`, `a=${"x".repeat(256)}`],
  ])("%j is passed on", (header, expected) => {
    expect(parseTracestate(header)).toBe(expected);
  });

  test.each([
    null,
    "",
    ",",
    "a",
    "A=1",
    "a=",
    "a=b=c",
    "a=\u00e9",
    "a=1,a=2",
    "1a=1",
    `a=${"x".repeat(257)}`,
    Array.from({ length: 33 }, (_, i) => `k${i}=v`).join(","),
    Array.from({ length: 3 }, (_, i) => `k${i}=${"v".repeat(200)}`).join(","),
  ])("%j is as good as none", (header) => {
    expect(parseTracestate(header)).toBeUndefined();
  });
});
