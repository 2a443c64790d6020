import { expect, test } from "bun:test";
import fc from "fast-check";
import type { NewRecord } from "../../../src/log/port.ts";
import { comparePartition, type PartitionComparison } from "../../../src/tools/compare/comparison.ts";
import { aLogRecord } from "../../support/events/records.ts";

const PARTITION = 2;
const written = (offset: number): NewRecord => ({
  partition: PARTITION,
  key: "k",
  value: `v${offset}`,
  timestamp_ms: offset,
  headers: [],
});

/** A record that arrived: the offset it comes from, and the fields in which it was changed. */
type Arrival = number | { readonly offset: number; readonly value?: string; readonly partition?: number } | "without origin";

async function compared(
  expected: readonly number[],
  arrivals: readonly Arrival[],
  mayRepeat = true,
): Promise<PartitionComparison> {
  return comparePartition({
    partition: PARTITION,
    fromOffset: 10,
    toOffset: (expected.at(-1) ?? 9) + 1,
    expected: async function* (from) {
      for (const offset of expected) if (offset >= from) yield { offset, record: written(offset) };
    },
    arrived: (async function* () {
      for (const [at, arrival] of arrivals.entries()) {
        const given = arrival === "without origin" ? undefined : typeof arrival === "number" ? { offset: arrival } : arrival;
        const offset = given?.offset ?? 0;
        const record = aLogRecord({
          offset: 100 + at,
          timestamp_ms: offset,
          value: Buffer.from(given?.value ?? `v${offset}`),
        });
        yield { record, origin: given && { partition: given.partition ?? PARTITION, offset } };
      }
    })(),
    strictness: { headersInOrder: true, timestamp: true },
    mayRepeat: () => mayRepeat,
  });
}

const found = ({ expected, arrived, repeated, kept }: PartitionComparison) => [
  `${arrived}/${expected}+${repeated}`,
  ...kept.map(({ kind, offset, arrivedAt }) => `${kind} ${offset ?? "?"}@${arrivedAt ?? "-"}`),
];

const WANTED = [10, 12, 13, 17, 20];

test("all of it, once and in order: no difference, gaps in the offsets included", async () => {
  expect(found(await compared(WANTED, WANTED))).toEqual(["5/5+0"]);
  expect(found(await compared([], []))).toEqual(["0/0+0"]);
});

test("each kind of difference is found, at the offsets where it is", async () => {
  const cases: [arrivals: Arrival[], expected: string[]][] = [
    [
      [10, 12, 13, 17],
      ["4/5+0", "missing 20@-"],
    ],
    [
      [12, 13, 17, 20],
      ["4/5+0", "missing 10@-"],
    ],
    [
      [10, 12, 17, 20],
      ["4/5+0", "missing 13@-"],
    ],
    [[], ["0/5+0", ...WANTED.map((offset) => `missing ${offset}@-`)]],
    [
      [10, 11, 12, 13, 17, 20],
      ["5/5+0", "unexpected 11@101"],
    ],
    [
      [10, 12, 13, 17, 20, 21],
      ["5/5+0", "unexpected 21@105"],
    ],
    [
      [21, 10, 12, 13, 17, 20],
      ["5/5+0", "unexpected 21@100"],
    ],
    [
      [9, 10, 12, 13, 17, 20],
      ["5/5+0", "unexpected 9@100"],
    ],
    [
      [10, { offset: 12, value: "other" }, 13, 17, 20],
      ["5/5+0", "changed 12@101"],
    ],
    [
      [10, 13, 12, 17, 20],
      ["5/5+0", "out of order 12@102"],
    ],
    [
      [10, { offset: 12, partition: 3 }, 12, 13, 17, 20],
      ["5/5+0", "unexpected 12@101"],
    ],
    [
      ["without origin", 10, 12, 13, 17, 20],
      ["5/5+0", "unexpected ?@100"],
    ],
  ];
  for (const [arrivals, expected] of cases)
    expect({ arrivals, found: found(await compared(WANTED, arrivals)) }).toEqual({ arrivals, found: expected });
});

test("a run that is written again is compared again and counted; what must not repeat is a difference", async () => {
  expect(found(await compared(WANTED, [10, 12, 13, 12, 13, 17, 20]))).toEqual(["5/5+2"]);
  expect(found(await compared(WANTED, [...WANTED, ...WANTED]))).toEqual(["5/5+5"]);
  expect(found(await compared(WANTED, [10, 12, { offset: 10, value: "other" }, 12, 13, 17, 20]))).toEqual([
    "5/5+2",
    "changed 10@102",
  ]);
  expect(found(await compared(WANTED, [10, 12, 10, 17, 20]))).toEqual(["4/5+1", "missing 13@-"]);
  expect(found(await compared(WANTED, [10, 12, 12, 13, 17, 20], false))).toEqual(["5/5+0", "repeated 12@102"]);
});

test("only a few of many differences are kept, and all are counted", async () => {
  const many = Array.from({ length: 500 }, (_, i) => 10 + i);
  const { differences, kept } = await compared(many, []);
  expect([differences, kept.length]).toEqual([500, 100]);
});

test("whatever arrived: it holds exactly if the first arrivals are the wanted ones in order and nothing else came", async () => {
  const offset = fc.integer({ min: 9, max: 16 });
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(offset.filter((n) => n >= 10)),
      fc.array(offset, { maxLength: 12 }),
      async (set, arrivals) => {
        const wanted = set.toSorted((a, b) => a - b);
        const first = [...new Set(arrivals)];
        const holds = first.length === wanted.length && first.every((n, i) => n === wanted[i]);
        const result = await compared(wanted, arrivals);
        expect(result.differences === 0).toBe(holds);
        if (holds) expect(result.repeated).toBe(arrivals.length - wanted.length);
      },
    ),
    { numRuns: 2_000 },
  );
});
