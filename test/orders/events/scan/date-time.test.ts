import { describe, expect, test } from "bun:test";
import { normalizeDateTime } from "../../../../src/orders/date-time.ts";
import { dateTimeEnd, hasZone } from "../../../../src/orders/events/scan/date-time.ts";

const viewOf = (text: string) => {
  const bytes = Buffer.from(text, "latin1");
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
};

/** Whether the text, between quotes, is taken; a date is taken as a whole or not at all. */
function isTaken(text: string): boolean {
  const view = viewOf(`"${text}"`);
  const end = dateTimeEnd(view, 1, view.byteLength);
  if (end < 0) return false;
  expect(end).toBe(view.byteLength - 1);
  return true;
}

/** What the decoder keeps as it is, or only gives a `Z`. */
function isKept(text: string): boolean {
  const normalized = normalizeDateTime(text);
  return normalized === text || normalized === `${text}Z`;
}

const twoDigits = (count: number) => Array.from({ length: count }, (_, n) => String(n).padStart(2, "0"));

describe("the scan takes the dates that the decoder keeps", () => {
  test("of each day, and none that there is not: 30 February", () => {
    expect(isTaken("2024-02-29T00:00:00")).toBe(true);
    expect(isTaken("2026-02-29T00:00:00")).toBe(false);
    expect(isTaken("2026-02-30T00:00:00")).toBe(false);
    for (const year of ["0000", "0004", "1900", "2000", "2023", "2024", "2100", "9999"]) {
      for (const month of twoDigits(20)) {
        for (const day of twoDigits(40)) {
          const text = `${year}-${month}-${day}T00:00:00Z`;
          if (isTaken(text) !== isKept(text)) expect(text).toBe(isKept(text) ? "taken" : "not taken");
        }
      }
    }
  });

  test("of each time and zone", () => {
    for (const a of twoDigits(100)) {
      for (const b of twoDigits(100)) {
        for (const text of [`2026-11-22T${a}:${b}:00`, `2026-11-22T00:${a}:${b}Z`, `2026-11-22T00:00:00+${a}:${b}`]) {
          if (isTaken(text) !== isKept(text)) expect(text).toBe(isKept(text) ? "taken" : "not taken");
        }
      }
    }
  });

  test("with a fraction of one to nine digits", () => {
    for (let digits = 0; digits <= 12; digits++) {
      for (const zone of ["", "Z", "+05:30", "-00:00"]) {
        expect(isTaken(`2026-11-22T21:42:39.${"1".repeat(digits)}${zone}`)).toBe(digits >= 1 && digits <= 9);
      }
    }
  });

  test.each(["2026-11-22T21:42:39", "2024-02-29T21:42:39.413Z", "1999-12-31T21:42:39.1+05:30", "2026-06-30T21:42:39-23:59"])(
    "and no other byte in any place of %s",
    (date) => {
      for (let at = 0; at < date.length; at++) {
        for (let byte = 0; byte < 256; byte++) {
          const text = date.slice(0, at) + String.fromCharCode(byte) + date.slice(at + 1);
          if (text.includes('"')) continue;
          if (isTaken(text) !== isKept(text)) expect(text).toBe(isKept(text) ? "taken" : "not taken");
        }
        expect(isTaken(date.slice(0, at))).toBe(isKept(date.slice(0, at)));
      }
    },
  );

  test("and no byte behind the end", () => {
    const date = "2026-11-22T21:42:39.413+05:30";
    const view = viewOf(`${date}"`);
    for (let to = 0; to <= date.length; to++) expect(dateTimeEnd(view, 0, to)).toBe(-1);
    expect(dateTimeEnd(view, 0, date.length + 1)).toBe(date.length);
  });

  test("and tells whether it says its zone", () => {
    for (const fraction of ["", ".1", ".413905", ".123456789"]) {
      for (const zone of ["", "Z", "+05:30", "-00:00"]) {
        const date = `2026-11-22T21:42:39${fraction}${zone}`;
        expect(hasZone(viewOf(date), date.length)).toBe(zone !== "");
      }
    }
  });
});
