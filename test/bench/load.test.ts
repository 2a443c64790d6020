import { expect, test } from "bun:test";
import type { NewRecord } from "../../src/log/port.ts";
import { eventCount, type Load, recordsIn } from "./load.ts";

const hot: Load = { shape: "hot", orders: 1_500, updatesPerOrder: 2 };
const cold: Load = { shape: "cold", orders: 1_500, updatesPerOrder: 2 };

const all = (load: Load): NewRecord[] => recordsIn(load, { from: 0, to: eventCount(load) });
const kindOf = ({ value }: NewRecord): string => (JSON.parse(String(value)) as { event_type: string }).event_type;

test.each([hot, cold])("a load has each order's create once, and before its updates ($shape)", (load) => {
  const seen = new Map<unknown, number>();
  for (const record of all(load)) {
    const times = seen.get(record.key) ?? 0;
    expect(kindOf(record)).toBe(times === 0 ? "ORDER_CREATED" : "ORDER_STATUS_UPDATED");
    seen.set(record.key, times + 1);
  }
  expect(seen.size).toBe(1_500);
  expect([...seen.values()].every((times) => times === 3)).toBe(true);
});

test("any part of a load is the same as in the whole", () => {
  expect(recordsIn(hot, { from: 2_990, to: 4_100 })).toEqual(all(hot).slice(2_990, 4_100));
});

test("hot: an order's next event comes a thousand events later, in the last window sooner", () => {
  expect(all(hot).flatMap(({ key }, n) => (key === "ORD-7" ? [n] : []))).toEqual([7, 1_007, 2_007]);
  expect(all(hot).flatMap(({ key }, n) => (key === "ORD-1007" ? [n] : []))).toEqual([3_007, 3_507, 4_007]);
});

test("cold: the creates come in no order of ids, and the rounds stride through all orders", () => {
  const records = all(cold);
  expect(records.slice(0, 3).map(({ key }) => key)).toEqual(["ORD-0", "ORD-1103515", "ORD-2207030"]);
  const created = (n: number) => records[n]!.key;
  expect(records.slice(1_500, 1_503).map(({ key }) => key)).toEqual([7_919, 56_190, 104_461].map((n) => created(n % 1_500)));
});

test("the values are those that JSON.stringify writes", () => {
  const records = [...all(hot).slice(999, 1_001), ...all(cold).slice(1_499, 1_501)];
  for (const { value } of records) expect(JSON.stringify(JSON.parse(String(value)))).toBe(String(value));
});

test("the event of a number is the same for ever, so that versions are compared on the same bytes", () => {
  expect(recordsIn({ shape: "cold", orders: 4_000_000, updatesPerOrder: 1 }, { from: 4_000_000, to: 4_000_001 })).toEqual([
    {
      partition: 8,
      key: "ORD-148800703",
      value:
        '{"event_id":"00000000-0000-4000-8000-0000003d0900","event_type":"ORDER_STATUS_UPDATED",' +
        '"timestamp":"2025-10-09T10:00:00.000Z","order_id":"ORD-148800703","status":"confirmed"}',
      headers: [],
      timestamp_ms: 1_760_004_000_000,
    },
  ]);
});
