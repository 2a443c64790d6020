import { daysOfMonth } from "../../date-time.ts";

const FRACTION_DIGITS_MAX = 9;

/**
 * The position of the quote that ends the date and time at `at`, in any form that `normalizeDateTime` takes and keeps
 * but for a `Z` that is missing; −1 where there is none. Its characters are compared four at a time.
 */
export function dateTimeEnd(view: DataView, at: number, to: number): number {
  // A quote follows the 19 characters up to the seconds.
  if (at + 20 > to) return -1;
  const year = view.getInt32(at);
  const month = view.getInt32(at + 4);
  const day = view.getInt32(at + 8);
  const hour = view.getInt32(at + 12);
  const second = view.getInt32(at + 15);
  const isInForm =
    // dddd, -dd-, ddTd, d:dd, d:dd
    (year & 0xf0f0f0f0) === 0x30303030 &&
    ((year + 0x06060606) & 0xf0f0f0f0) === 0x30303030 &&
    (month & 0xfff0f0ff) === 0x2d30302d &&
    ((month + 0x00060600) & 0xfff0f0ff) === 0x2d30302d &&
    (day & 0xf0f0fff0) === 0x30305430 &&
    ((day + 0x06060006) & 0xf0f0fff0) === 0x30305430 &&
    (hour & 0xf0fff0f0) === 0x303a3030 &&
    ((hour + 0x06000606) & 0xf0fff0f0) === 0x303a3030 &&
    (second & 0xf0fff0f0) === 0x303a3030 &&
    ((second + 0x06000606) & 0xf0fff0f0) === 0x303a3030;
  if (!isInForm) return -1;
  const m = ((month >>> 16) & 15) * 10 + ((month >>> 8) & 15);
  const d = ((day >>> 24) & 15) * 10 + ((day >>> 16) & 15);
  const h = (day & 15) * 10 + ((hour >>> 24) & 15);
  if (m < 1 || m > 12 || d < 1 || h > 23 || (hour & 0xff00) > 0x3500 || (second & 0xff00) > 0x3500) return -1;
  if (d > 28 && d > daysOfMonth(yearOf(year), m)) return -1;
  return zoneEnd(view, fractionEnd(view, at + 19, to), to);
}

const yearOf = (w: number): number => ((w >>> 24) & 15) * 1000 + ((w >>> 16) & 15) * 100 + ((w >>> 8) & 15) * 10 + (w & 15);

/** The position behind a fraction of a second, which may be missing; −1 where a point stands without 1 to 9 digits. */
function fractionEnd(view: DataView, at: number, to: number): number {
  if (view.getUint8(at) !== POINT) return at;
  const last = Math.min(to, at + FRACTION_DIGITS_MAX + 2);
  for (let i = at + 1; i < last; i++) if (!isDigit(view.getUint8(i))) return i > at + 1 ? i : -1;
  return -1;
}

/** The position of the quote behind a zone, which may be missing; −1 where something else stands there. */
function zoneEnd(view: DataView, at: number, to: number): number {
  if (at < 0) return -1;
  const c = view.getUint8(at);
  if (c === QUOTE) return at;
  if (c === UPPER_Z) return at + 1 < to && view.getUint8(at + 1) === QUOTE ? at + 1 : -1;
  if ((c !== PLUS && c !== DASH) || at + 7 > to) return -1;
  const w = view.getInt32(at + 1);
  // dd:d, d
  if ((w & 0xf0f0fff0) !== 0x30303a30 || ((w + 0x06060006) & 0xf0f0fff0) !== 0x30303a30) return -1;
  if (((w >>> 24) & 15) * 10 + ((w >>> 16) & 15) > 23 || (w & 15) > 5 || !isDigit(view.getUint8(at + 5))) return -1;
  return view.getUint8(at + 6) === QUOTE ? at + 6 : -1;
}

/** Whether the date and time that ends at `to`, as `dateTimeEnd` took it, says its zone. */
export function hasZone(view: DataView, to: number): boolean {
  if (view.getUint8(to - 1) === UPPER_Z) return true;
  const sign = view.getUint8(to - 6);
  return sign === PLUS || sign === DASH;
}

const isDigit = (c: number): boolean => c >= 48 && c <= 57;

const QUOTE = 34;
const PLUS = 43;
const DASH = 45;
const POINT = 46;
const UPPER_Z = 90;
