import { expect, test } from "bun:test";
import type { LogRecord } from "../../../../../src/log/port.ts";
import { keyNumber, type ToldEnd, UnreadKeys } from "../../../../../src/services/orders/query/unread/unread-keys.ts";

const TOLD: ToldEnd = { topicId: "a", leaderEpoch: 3, endOffset: 20 };
const room = (left = 100) => ({ left });
const record = (offset: number, key: string, value = ""): LogRecord => ({
  offset,
  key: Buffer.from(key),
  value: Buffer.from(value),
  timestamp_ms: 0,
  leaderEpoch: 3,
  headers: () => [],
});

/** Keys of [10, 20): A at 10 and 15, B at 12. */
function read(shared = room()): UnreadKeys {
  const keys = new UnreadKeys(TOLD, 10, shared);
  expect(keys.begin()).toBe(10);
  for (const each of [record(10, "A"), record(12, "B"), record(15, "A")]) keys.note(each);
  keys.end(20);
  return keys;
}

const lacks = (keys: UnreadKeys, key: string, nextOffset: number, endOffset = 20) =>
  keys.lacks(keyNumber(key), nextOffset, endOffset);

test("a key is there for whoever goes on at or before the last record that has it", () => {
  const keys = read();
  expect([10, 15, 16].map((nextOffset) => lacks(keys, "A", nextOffset))).toEqual([false, false, true]);
  expect([10, 12, 13].map((nextOffset) => lacks(keys, "B", nextOffset))).toEqual([false, false, true]);
  expect(lacks(keys, "C", 10)).toBe(true);
});

test("nothing is denied before what was read, beyond it, or beyond the end", () => {
  const keys = read();
  expect(lacks(keys, "C", 9)).toBe(false);
  expect(lacks(keys, "C", 10, 21)).toBe(false);
  expect(lacks(keys, "C", 20, 19)).toBe(false);
});

test.each<[string, Partial<ToldEnd>, number, boolean]>([
  ["the same log", {}, 10, true],
  ["a longer one", { endOffset: 30 }, 19, true],
  ["another leader", { leaderEpoch: 4 }, 10, false],
  ["another topic", { topicId: "b" }, 10, false],
  ["an end before what was read", { endOffset: 19 }, 10, false],
  ["an offset before what was read", {}, 9, false],
  ["all of it applied", {}, 20, false],
])("what was read is of use: %s", (_, told, nextOffset, isOfUse) => {
  expect(read().isPartOf({ ...TOLD, ...told }, nextOffset)).toBe(isOfUse);
});

test("a read goes on from the last record, which must be the same", () => {
  const again = read();
  expect(again.begin()).toBe(15);
  for (const each of [record(15, "A"), record(21, "C")]) again.note(each);
  again.end(22);
  expect([lacks(again, "A", 15, 22), lacks(again, "C", 15, 22), lacks(again, "D", 15, 22)]).toEqual([false, false, true]);

  const another = read();
  another.begin();
  expect(() => another.note(record(15, "A", "other"))).toThrow("may have changed");
  const without = read();
  without.begin();
  expect(() => without.note(record(16, "A"))).toThrow("may have changed");
  const none = read();
  none.begin();
  expect(() => none.end(22)).toThrow("may have changed");
});

test("where there is no room for a key, what lies from there on is not known, until there is", () => {
  const shared = room(2);
  const keys = read(shared);
  expect(shared.left).toBe(0);
  keys.begin();
  expect([record(15, "A"), record(20, "B"), record(21, "C")].map((each) => keys.note(each))).toEqual([true, true, false]);
  keys.end(22);
  expect([lacks(keys, "D", 10, 21), lacks(keys, "D", 10, 22), lacks(keys, "C", 10, 22)]).toEqual([true, false, false]);

  keys.forgetApplied(16);
  expect([shared.left, keys.size]).toEqual([1, 1]);
  expect(keys.begin()).toBe(20);
  for (const each of [record(20, "B"), record(21, "C")]) keys.note(each);
  keys.end(22);
  expect([lacks(keys, "B", 16, 22), lacks(keys, "C", 16, 22), lacks(keys, "D", 16, 22)]).toEqual([false, false, true]);
});
