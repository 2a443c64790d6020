export const count = (n: number): string => n.toLocaleString("en-US");

const compact = new Intl.NumberFormat("en-US", { notation: "compact" });
/** Formats a number for an axis, such as `120K`. */
export const roughly = (n: number): string => compact.format(n);

/** Formats a number, or a dash if it is not known. */
export const countOr = (n: number | undefined): string => (n === undefined ? "–" : count(n));

export const plural = (n: number, one: string, many: string): string => `${count(n)} ${n === 1 ? one : many}`;

export const milliseconds = (ms: number): string => (ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`);

export const seconds = (s: number): string =>
  s < 120 ? `${s} s` : s < 7_200 ? `${Math.round(s / 60)} min` : `${Math.round(s / 3_600)} h`;

const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
export const timeOfDay = (ms: number): string => clock.format(ms);

const dated = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium" });
/** Formats a time in the reader's time zone; a timestamp that is not a date stays as it is. */
export const dateAndTime = (time: string): string => (/^-?[0-9]+$/.test(time) ? time : dated.format(Date.parse(time)));

const CONTROL_PICTURES = 0x2400;

/**
 * Shows control characters as their pictures (U+2400 …) or escaped, and escapes whatever turns the writing direction.
 * Line breaks and tabs stay.
 */
export const visible = (text: string): string =>
  text
    .replace(/[^\P{Cc}\n\t]/gu, (c) => (c < " " ? String.fromCharCode(CONTROL_PICTURES + c.charCodeAt(0)) : escaped(c)))
    .replace(/[\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g, escaped);

const escaped = (c: string): string => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`;

const ROW_BYTES = 16;

/** Formats bytes as `hexdump -C` does. */
export function hexDump(bytes: Uint8Array): string {
  const rows: string[] = [];
  for (let at = 0; at < bytes.length; at += ROW_BYTES) {
    const row = [...bytes.subarray(at, at + ROW_BYTES)];
    const hex = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const text = row.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".")).join("");
    rows.push(`${at.toString(16).padStart(8, "0")}  ${hex.padEnd(ROW_BYTES * 3 - 1)}  |${text}|`);
  }
  return rows.join("\n");
}
