import { expect, test } from "bun:test";
import fc from "fast-check";
import { timestampOf, timeText } from "../../src/log/timestamp.ts";
import { archiveLine, parseArchiveLine } from "../../src/tools/archive/archive-line.ts";

const anyTimestamp = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });

test("a stamp is shown as the date that it is, or by its digits", () => {
  const cases: [bigint, string][] = [
    [1_795_613_603_669n, "2026-11-25T13:33:23.669Z"],
    [0n, "1970-01-01T00:00:00.000Z"],
    [253_402_300_799_999n, "9999-12-31T23:59:59.999Z"],
    [253_402_300_800_000n, "253402300800000"],
    [-62_167_219_200_000n, "0000-01-01T00:00:00.000Z"],
    [-62_167_219_200_001n, "-62167219200001"],
    [1_795_613_603_669_123_457n, "1795613603669123457"],
  ];
  for (const [stamp, text] of cases) expect(timeText(timestampOf(stamp))).toBe(text);
});

test("whatever the 64 bits, what is shown is RFC 3339 or digits", () => {
  fc.assert(
    fc.property(anyTimestamp, (stamp) => {
      expect(timeText(timestampOf(stamp))).toMatch(/^(-?[0-9]{1,19}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{3}Z)$/);
    }),
  );
});

test("an archive's line has the stamp as an integer and is read back exactly, whatever stands in headers", () => {
  fc.assert(
    fc.property(anyTimestamp, fc.string(), (stamp, name) => {
      const timestamp_ms = timestampOf(stamp);
      const headers = [
        [name, Buffer.from(name)],
        ['"timestamp_ms":1', null],
      ] as const;
      const record = { offset: 1, timestamp_ms, key: null, value: Buffer.from([0xff]), leaderEpoch: 0, headers: () => headers };
      const line = archiveLine(record, 3, "t");
      expect(line).toContain(`"timestamp_ms":${stamp}`);
      const read = parseArchiveLine(line, "t");
      expect([read.partition, read.record.timestamp_ms]).toEqual([3, timestamp_ms]);
      expect(read.record.headers()).toEqual(headers);
    }),
  );
});

test("a stamp beyond 64 bits, or that is no integer, is no record's", () => {
  const line = (stamp: string) =>
    `{"headers":[],"key":null,"offset":0,"partition":0,"timestamp_ms":${stamp},"topic":"t","value":null}`;
  expect(parseArchiveLine(line("9223372036854775807"), "t").record.timestamp_ms).toBe(9_223_372_036_854_775_807n);
  for (const stamp of ["9223372036854775808", "1.5", "1e30", '"1"', "null", "99999999999999999999"])
    expect(() => parseArchiveLine(line(stamp), "t")).toThrow("it is no record of t");
});
