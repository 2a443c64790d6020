import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { isPoison } from "../../../src/orders/events/poison.ts";
import { decode, wireUpdated } from "./samples.ts";

const timestamp = (text: string) => {
  const decoded = decode({ ...wireUpdated, timestamp: text });
  return isPoison(decoded) ? decoded.poison : decoded.timestamp;
};

describe("the dates of an event", () => {
  test.each([
    ["2026-11-22T21:42:39", "2026-11-22T21:42:39Z"],
    ["2026-11-22T21:42:39.413905", "2026-11-22T21:42:39.413905Z"],
    ["2026-11-22T21:42:39.413905Z", "2026-11-22T21:42:39.413905Z"],
    ["2026-11-22 21:42:39.4+00:00", "2026-11-22T21:42:39.4+00:00"],
    ["2026-11-22t21:42:39z", "2026-11-22T21:42:39Z"],
    ["2026-11-22T21:42:39-05:30", "2026-11-22T21:42:39-05:30"],
    ["2024-02-29T00:00:00.123456789", "2024-02-29T00:00:00.123456789Z"],
  ])("%p is kept as %p", (given, kept) => expect(timestamp(given)).toBe(kept));

  test.each([
    "",
    "2026-11-22",
    "2026-11-22T21:42",
    "2026-11-22T21:42:39.",
    "2026-11-22T21:42:39.1234567890",
    "2026-11-22T21:42:39ZZ",
    "2026-11-22T21:42:39+24:00",
    "2026-11-22T21:42:39+0000",
    "2026-11-22T21:42:39,5",
    "2026-11-22X21:42:39",
    "2026-13-01T00:00:00",
    "2026-00-01T00:00:00",
    "2026-01-00T00:00:00",
    "2026-04-31T00:00:00",
    "2026-02-29T00:00:00",
    "1900-02-29T00:00:00",
    "2026-11-22T24:00:00",
    "2026-11-22T21:60:00",
    "2026-11-22T21:42:60",
    "2O26-11-22T21:42:39",
    " 2026-11-22T21:42:39",
  ])("%p is no date", (text) => expect(timestamp(text)).toBe("invalid_date"));

  test("what is taken is what the engine's calendar takes", () => {
    const two = fc.integer({ min: 0, max: 61 }).map((n) => String(n).padStart(2, "0"));
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9999 }), two, two, two, two, two, (y, mo, d, h, mi, s) => {
        const text = `${String(y).padStart(4, "0")}-${mo}-${d}T${h}:${mi}:${s}Z`;
        const date = new Date(text);
        const real = !Number.isNaN(date.getTime()) && date.toISOString() === text.replace("Z", ".000Z");
        expect(timestamp(text)).toBe(real ? text : "invalid_date");
      }),
      { numRuns: 2_000 },
    );
    fc.assert(
      fc.property(fc.date({ min: new Date("0001-01-01"), max: new Date("9999-12-31"), noInvalidDate: true }), (date) => {
        expect(timestamp(date.toISOString())).toBe(date.toISOString());
      }),
    );
  });
});
