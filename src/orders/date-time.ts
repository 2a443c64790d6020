const DATE_TIME =
  /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[Tt ](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)?$/;

/**
 * Turns a date and time, which may lack its zone, into an RFC 3339 date-time with a zone. Without a zone it is read as
 * UTC, as Python's `datetime.utcnow().isoformat()` means it. A space or `t` between date and time becomes `T`, and `z`
 * becomes `Z`; the rest of the text is kept, with its offset and its fraction of a second (up to nine digits).
 * Undefined for what is no date: 30 February, 24:00, a leap second.
 */
export function normalizeDateTime(s: string): string | undefined {
  if (!DATE_TIME.test(s)) return undefined;
  if (s.charCodeAt(8) >= TWO && Number(s.slice(8, 10)) > daysOfMonth(Number(s.slice(0, 4)), Number(s.slice(5, 7))))
    return undefined;
  const separated = s.charCodeAt(10) === UPPER_T ? s : `${s.slice(0, 10)}T${s.slice(11)}`;
  const last = s.charCodeAt(s.length - 1);
  if (last === UPPER_Z) return separated;
  if (last === LOWER_Z) return `${separated.slice(0, -1)}Z`;
  const sign = s.charCodeAt(s.length - 6);
  return sign === PLUS || sign === DASH ? separated : `${separated}Z`;
}

const TWO = 50;
const UPPER_T = 84;
const UPPER_Z = 90;
const LOWER_Z = 122;
const DASH = 45;
const PLUS = 43;

/** The number of days of a month, 1 to 12, by the Gregorian calendar. */
export function daysOfMonth(year: number, month: number): number {
  if (month === 2) return isLeapYear(year) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

const isLeapYear = (year: number): boolean => year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
