import { expect, test } from "bun:test";
import type { LogRecord, NewRecord } from "../../../src/log/port.ts";
import { recordDifference } from "../../../src/tools/compare/record-difference.ts";
import { replayedFrom, replayedRecord } from "../../../src/tools/replay/replayed-record.ts";
import { eventType, matches, type Selection } from "../../../src/tools/scan/selection.ts";
import { aLogRecord, storedRecord } from "../../support/events/records.ts";

const record = (fields: Parameters<typeof aLogRecord>[0] = {}): LogRecord =>
  aLogRecord({ timestamp_ms: 1_000, offset: 7, key: Buffer.from("ORD-1"), value: Buffer.from("{}"), ...fields });

test("a record matches by the window (from on, before to), its key and its type, all together", () => {
  const cases: [Selection, Parameters<typeof record>[0], boolean][] = [
    [{}, { key: null, value: null }, true],
    [{ from_ms: 1_000 }, {}, true],
    [{ from_ms: 1_001 }, {}, false],
    [{ to_ms: 1_001 }, {}, true],
    [{ to_ms: 1_000 }, {}, false],
    [{ orders: ["ORD-2", "ORD-1"] }, {}, true],
    [{ orders: ["ORD-1"] }, { key: Buffer.from("ORD-12") }, false],
    [{ orders: ["ORD-1"] }, { key: null }, false],
    [{ types: ["A"] }, { headers: [["ce_type", "A"]] }, true],
    [{ types: ["A"] }, { value: Buffer.from('{"event_type":"A"}') }, true],
    [{ types: ["A"] }, { headers: [["ce_type", "B"]], value: Buffer.from('{"event_type":"A"}') }, false],
    [{ types: ["A"] }, { value: Buffer.from("not json") }, false],
    [{ types: ["A"] }, { value: null }, false],
    [{ types: ["A"], orders: ["ORD-2"] }, { headers: [["ce_type", "A"]] }, false],
  ];
  for (const [selection, given, expected] of cases) {
    expect({ selection, given, matches: matches(selection, record(given)) }).toEqual({ selection, given, matches: expected });
  }
  expect(eventType(record({ value: Buffer.from('{"event_type":1}') }))).toBeUndefined();
});

test("a replayed record is the same but for four headers, which replace an earlier replay's", () => {
  const headers = [
    ["d", "1"],
    ["d", null],
    ["x-replay-id", "earlier"],
    ["x-replayed-from-offset", "3"],
    ["e", ""],
  ] as const;
  const source = record({ key: null, value: Buffer.from([0xff, 0]), headers });
  const replayed = replayedRecord(source, 5, "orders.events", "night-1");
  expect({ ...replayed, headers: [] }).toEqual({
    partition: 5,
    key: null,
    value: Buffer.from([0xff, 0]),
    timestamp_ms: 1_000,
    headers: [],
  });
  expect(replayed.headers.map(([name, value]) => [name, value === null ? null : value.toString()])).toEqual([
    ["d", "1"],
    ["d", null],
    ["e", ""],
    ["x-replay-id", "night-1"],
    ["x-replayed-from-topic", "orders.events"],
    ["x-replayed-from-partition", "5"],
    ["x-replayed-from-offset", "7"],
  ]);
  const arrived = storedRecord(replayed);
  expect(replayedFrom(arrived, "night-1")).toEqual({ origin: { partition: 5, offset: 7 } });
  expect(replayedFrom(arrived, "night-2")).toBeUndefined();
  expect(replayedFrom(source, "night-1")).toBeUndefined();
  expect(replayedFrom(source, "earlier")).toEqual({ origin: undefined });
});

test("each part of a record that differs is named", () => {
  const strict = { headersInOrder: true, timestamp: true };
  const base = {
    key: "k",
    value: "v",
    timestamp_ms: 1,
    headers: [
      ["a", "1"],
      ["b", null],
    ],
    partition: 0,
  } as const;
  const differing = (changed: Partial<NewRecord>, strictness = strict) =>
    recordDifference(base, storedRecord({ ...base, ...changed }), strictness);
  expect(differing({})).toEqual([]);
  expect(differing({ key: "K" })).toEqual(["key"]);
  expect(differing({ key: null })).toEqual(["key"]);
  expect(differing({ value: "" })).toEqual(["value"]);
  expect(differing({ value: null })).toEqual(["value"]);
  expect(differing({ timestamp_ms: 2 })).toEqual(["timestamp"]);
  for (const headers of [
    [["a", "1"]],
    [
      ["a", "1"],
      ["b", ""],
    ],
    [
      ["a", "1"],
      ["b", null],
      ["b", null],
    ],
    [
      ["a", "2"],
      ["b", null],
    ],
    [
      ["A", "1"],
      ["b", null],
    ],
  ] as NewRecord["headers"][]) {
    expect(differing({ headers })).toEqual(["headers"]);
    expect(differing({ headers }, { ...strict, headersInOrder: false })).toEqual(["headers"]);
  }
  const turned: NewRecord["headers"] = [
    ["b", null],
    ["a", "1"],
  ];
  expect(differing({ headers: turned })).toEqual(["headers"]);
  expect(differing({ headers: turned }, { ...strict, headersInOrder: false })).toEqual([]);
  expect(differing({ timestamp_ms: 2, key: "K" }, { ...strict, timestamp: false })).toEqual(["key"]);
});
