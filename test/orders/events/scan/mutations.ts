import * as fc from "fast-check";
import { encodeEvent } from "../../../../src/orders/events/encode.ts";
import { anEvent } from "../../../support/events/an-event.ts";
import { pythonCreate, pythonUpdate } from "../../../support/events/python-events.ts";
import { aWireText, type WireText } from "../../../support/events/wire-texts.ts";

/** A record of the topic, as any program, or chance, may have written it. */
export interface AnyRecord {
  readonly key: Buffer | null;
  readonly value: Buffer;
}

const anyWritten: fc.Arbitrary<WireText> = fc.oneof(
  { weight: 8, arbitrary: aWireText },
  anEvent.map((event) => ({ orderId: event.orderId, text: encodeEvent(event) })),
  fc.constantFrom("ORD-1", "ORD-007").map((orderId) => ({ orderId, text: pythonCreate(orderId, "an id") })),
  fc.constantFrom("ORD-1", "ORD-007").map((orderId) => ({ orderId, text: pythonUpdate(orderId, "shipped", "an id") })),
);

type Change = (text: string) => string;

const splice = (text: string, at: number, length: number, inserted: string): string => {
  const from = at % (text.length + 1);
  return text.slice(0, from) + inserted + text.slice(from + length);
};

/** Replaces one of the matches of a pattern with a group for what stays before it. */
const replaceOne = (text: string, pattern: RegExp, nth: number, by: string): string => {
  const matches = [...text.matchAll(pattern)];
  const match = matches[nth % Math.max(1, matches.length)];
  if (!match) return text;
  const before = match[1] ?? "";
  return text.slice(0, match.index + before.length) + by + text.slice(match.index + match[0].length);
};

const fragments = Array.from('{}[]",:\\ -+.eEZTz0129\n\t\u0000\u007fé€😀').concat([
  "\\u0041",
  "\\n",
  '\\"',
  "null",
  "true",
  '"a":1,',
  '"status":"new",',
  ', "status": "new"',
  ",",
  '"}',
  "}}",
  "  ",
]);
const splices = fc
  .tuple(fc.nat(), fc.nat(3), fc.oneof(fc.constantFrom("", ...fragments), fc.string({ unit: "binary", maxLength: 2 })))
  .map(
    ([at, length, inserted]): Change =>
      (text) =>
        splice(text, at, length, inserted),
  );

const repeated = fc.tuple(fc.nat(), fc.nat(40), fc.nat()).map(
  ([from, length, to]): Change =>
    (text) =>
      splice(text, to, 0, text.slice(from % text.length).slice(0, length)),
);

/** A member once more, or two members in the other's place: what stands between two commas is moved behind a third. */
const members = fc.tuple(fc.nat(), fc.nat(), fc.boolean()).map(([from, to, isMoved]): Change => (text) => {
  const parts = text.split(",");
  const at = from % parts.length;
  const part = parts[at] as string;
  if (isMoved) parts.splice(at, 1);
  parts.splice(to % (parts.length + 1), 0, part);
  return parts.join(",");
});

const digits = (min: number, max: number) => fc.stringMatching(new RegExp(`^[0-9]{${min},${max}}$`));
const nearTie = fc
  .tuple(fc.nat(1e12), fc.integer({ min: -3, max: 3 }))
  .map(([cents, ulps]) => (cents + 0.5) / 100 + ulps * Number.EPSILON * (cents / 100));
const numbers = fc.oneof(
  fc.constantFrom(
    "0",
    "-0",
    "00",
    "01",
    "0.0",
    "1.",
    ".5",
    "1e2",
    "1E2",
    "1e-2",
    "1E400",
    "1.005",
    "12.345",
    "0.005",
    "-1",
    "+1",
  ),
  fc.constantFrom("1000000", "1000001", "1000000000000", "1000000000000.004", "1000000000000.01", "9999999999999", "2.0", "0.5"),
  fc.constantFrom(
    "1.0049999999999999",
    "1.00499999999999989",
    "1.00500000000000000001",
    "1235.4299999999998",
    "0.30000000000000004",
  ),
  fc.tuple(digits(1, 16), digits(1, 20)).map((parts) => parts.join(".")),
  fc
    .tuple(digits(1, 3), digits(2, 2), fc.constantFrom("49", "5", "50", "500000", "4999999999"))
    .map(([w, h, r]) => `${w}.${h}${r}`),
  digits(1, 17),
  nearTie.map(String),
  fc.double({ noNaN: true }).map(String),
  fc.double({ min: 0, max: 1e4, noNaN: true }).map(String),
);
const otherNumber = fc.tuple(fc.nat(), numbers).map(
  ([nth, by]): Change =>
    (text) =>
      replaceOne(text, /(: ?)\d[\d.]*/g, nth, by),
);

const two = fc.constantFrom("00", "01", "02", "12", "13", "23", "24", "28", "29", "30", "31", "32", "59", "60", "0:", "3/");
/** Dates that are wrong, if at all, mostly in one place. */
const dates = fc
  .tuple(
    fc.constantFrom("2026", "2024", "1900", "2000", "202:"),
    fc.constantFrom("01", "02", "04", "12"),
    fc.constantFrom("01", "28", "29", "30", "31"),
    fc.constantFrom("T", "T", "T", "t", " "),
    fc.constantFrom("", ".1", ".123456789", ".1234567890", "."),
    fc.oneof(
      fc.constantFrom("", "Z", "z", "+0000"),
      fc.tuple(fc.constantFrom("+", "-"), two, two).map(([s, h, m]) => `${s}${h}:${m}`),
    ),
    fc.array(fc.tuple(fc.nat(4), two), { maxLength: 1 }),
  )
  .map(([year, month, day, t, fraction, zone, others]) => {
    const parts = [month, day, "21", "42", "39"];
    for (const [at, other] of others) parts[at] = other;
    return `${year}-${parts.slice(0, 2).join("-")}${t}${parts.slice(2).join(":")}${fraction}${zone}`;
  });
const otherDate = fc.tuple(fc.nat(), dates).map(
  ([nth, by]): Change =>
    (text) =>
      replaceOne(text, /(")\d{4}-[^"]*/g, nth, by),
);

const texts = fc.oneof(
  fc.constantFrom(
    "",
    "x".repeat(128),
    "x".repeat(129),
    "é",
    "\\u00e9",
    "\\\\",
    "new",
    "news",
    "new ",
    "confirmeds",
    "usd",
    "USDX",
    "US",
    "ORD-1",
  ),
  fc.constantFrom(
    "B4B4AD0A-0AC4-41A4-AE9C-6C2A1B8A7F10",
    "b4b4ad0a-0ac4-41a4-ae9c-6c2a1b8a7f10x",
    "ORDER_CREATED",
    "ORDER_STATUS_UPDATED",
  ),
  fc.stringMatching(/^ORD-[0-9]{1,65}$/),
  fc.stringMatching(/^[`0-9a-g:/@]{8}-[0-9a-g]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/),
  fc.string({ unit: "binary", maxLength: 5 }),
);
const otherText = fc.tuple(fc.nat(), texts).map(
  ([nth, by]): Change =>
    (text) =>
      replaceOne(text, /(: ?")[^"]*/g, nth, by),
);

const spaces = fc.tuple(fc.constantFrom(" ", "\n", "\t", "\r", "\ufeff", "\u00a0"), fc.boolean()).map(
  ([space, isFirst]): Change =>
    (text) =>
      isFirst ? space + text : text + space,
);
const cut = fc.nat().map(
  (at): Change =>
    (text) =>
      text.slice(0, at % text.length),
);

const change = fc.oneof(
  splices,
  repeated,
  members,
  { weight: 3, arbitrary: otherNumber },
  { weight: 3, arbitrary: otherDate },
  { weight: 3, arbitrary: otherText },
  spaces,
  cut,
);

/** A byte that is another one, so that the value need not be UTF-8. */
const byte = fc.tuple(fc.nat(), fc.nat(255));

const otherKey = fc.oneof(
  { weight: 12, arbitrary: fc.constant<Change>((id) => id) },
  fc.constantFrom<Change>(
    (id) => `${id}0`,
    (id) => id.slice(0, -1),
    (id) => id.toLowerCase(),
    (id) => id.replace("ORD-", "ORD-0"),
    (id) => id.replace("-", "_"),
    (id) => id.replace(/.$/, ":"),
    () => "",
    () => "ORD-1",
  ),
);

/** Records as programs write them, with up to three changes of any sort; one in thirteen has another key, or none. */
export const anyRecord: fc.Arbitrary<AnyRecord> = fc
  .record({
    written: anyWritten,
    changes: fc.oneof({ weight: 3, arbitrary: fc.array(change, { maxLength: 1 }) }, fc.array(change, { maxLength: 3 })),
    bytes: fc.array(byte, { maxLength: 1 }),
    key: fc.option(otherKey, { freq: 30 }),
  })
  .map(({ written: { orderId, text }, changes, bytes, key }) => {
    const value = Buffer.from(changes.reduce((changed, apply) => apply(changed), text));
    if (changes.length === 0) for (const [at, b] of bytes) value[at % value.length] = b;
    return { key: key && Buffer.from(key(orderId)), value };
  });
