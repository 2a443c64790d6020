import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { indexProjection } from "../../../../src/services/cart/index/index-projection.ts";
import { OwnCreates } from "../../../../src/services/cart/index/own-creates.ts";
import type { LogRecord } from "../../../../src/log/port.ts";
import { encodeEvent } from "../../../../src/orders/events/encode.ts";
import type { OrderEvent } from "../../../../src/orders/events/kinds.ts";

const create = (orderId: string, eventId: string, itemId = "ITEM-1"): string => {
  const timestamp = "2026-11-22T21:42:39.413Z";
  const items = [{ itemId, quantity: 1, price_hundredths: 1_000 }];
  const order = {
    orderId,
    customerId: "C",
    orderDate: timestamp,
    items,
    total_hundredths: 1_000,
    currency: "USD",
    status: "new",
  };
  return encodeEvent({ type: "ORDER_CREATED", eventId, timestamp, orderId, order } as OrderEvent);
};

const recordOf = (orderId: string, value: string, offset: number): LogRecord => ({
  offset,
  timestamp_ms: 0,
  key: Buffer.from(orderId),
  value: Buffer.from(value),
  leaderEpoch: 0,
  headers: () => [],
});

const idOf = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`;

function openIndex(ownCreates: OwnCreates) {
  const db = new Database(":memory:", { strict: true });
  const projection = indexProjection(ownCreates);
  db.run(projection.schema);
  return projection.open(db, 3);
}

describe("a cart's own creates", () => {
  test("are answered from memory once acknowledged, until the index has committed them", () => {
    const own = new OwnCreates();
    const begun = own.begin("ORD-1", idOf(1), "{}");
    if (!begun) throw new Error("nothing was begun before");
    expect(own.find("ORD-1")).toBeUndefined();
    expect(own.begin("ORD-1", idOf(2), "{}")).toBeUndefined();
    own.noteAcknowledged(begun, { partition: 3, offset: 7, leaderEpoch: 2 });
    own.end(begun);
    expect(own.find("ORD-1")).toEqual({ partition: 3, offset: 7, leaderEpoch: 2, eventId: idOf(1) });
    expect(own.forgetRead(() => 7)).toBe(1);
    expect(own.forgetRead(() => 8)).toBe(0);
    expect(own.find("ORD-1")).toBeUndefined();
  });

  test("are forgotten when they fail, so that the next one counts", () => {
    const own = new OwnCreates();
    const failed = own.begin("ORD-1", idOf(1), "{}");
    if (failed) own.end(failed);
    expect(own.begin("ORD-1", idOf(2), "{}")?.eventId).toBe(idOf(2));
  });

  test("are indexed when they are read back, and found contended by another create alone", () => {
    const own = new OwnCreates();
    const index = openIndex(own);
    const value = create("ORD-1", idOf(1));
    const begun = own.begin("ORD-1", idOf(1), value);
    expect(index.fold(recordOf("ORD-1", value, 5))).toBeUndefined();
    expect(begun?.contended).toBe(false);
    expect(index.fold(recordOf("ORD-2", create("ORD-2", idOf(9)), 6))).toBeUndefined();
    expect(begun?.contended).toBe(false);
    // As long as the own one, so that only the id tells them apart.
    expect(index.fold(recordOf("ORD-1", create("ORD-1", idOf(2)), 7))).toBeUndefined();
    expect(begun?.contended).toBe(true);
    index.flush();
    expect(index.view.order("ORD-1")).toEqual({ partition: 3, offset: 5, eventId: idOf(1) });
    expect(index.view.order("ORD-2")?.offset).toBe(6);
  });

  test("that come first in the log from another cart stay first", () => {
    const own = new OwnCreates();
    const index = openIndex(own);
    const value = create("ORD-1", idOf(1));
    own.begin("ORD-1", idOf(1), value);
    index.fold(recordOf("ORD-1", create("ORD-1", idOf(2)), 4));
    index.fold(recordOf("ORD-1", value, 5));
    index.flush();
    expect(index.view.order("ORD-1")).toEqual({ partition: 3, offset: 4, eventId: idOf(2) });
  });

  test("are recognised by their bytes: with text beyond ASCII or with escapes they are decoded like anybody's", () => {
    const texts = ["ITEM", "Käse", "漢字", "🎈", 'a "quoted" one', "back\\slash"];
    for (const text of texts) {
      const own = new OwnCreates();
      const index = openIndex(own);
      const value = create("ORD-1", idOf(1), text);
      own.begin("ORD-1", idOf(1), value);
      expect(own.recognise(recordOf("ORD-1", value, 5)) !== undefined).toBe(text === "ITEM");
      index.fold(recordOf("ORD-1", value, 5));
      index.flush();
      expect(index.view.order("ORD-1")?.eventId).toBe(idOf(1));
    }
  });

  test("are not taken for events where no reader takes them for one", () => {
    const own = new OwnCreates();
    const index = openIndex(own);
    const value = create("ORD-1", idOf(1), "caf\ud83d");
    own.begin("ORD-1", idOf(1), value);
    expect(index.fold(recordOf("ORD-1", value, 5))).toMatchObject({ code: "wrong_shape" });
    index.flush();
    expect(index.view.order("ORD-1")).toBeUndefined();
  });
});

test("a batch that cannot be decoded is passed over", () => {
  const index = openIndex(new OwnCreates());
  const undecodable = { lastOffset: 9, reason: "Its codec is not known." };
  const record: LogRecord = {
    offset: 5,
    timestamp_ms: 0,
    key: null,
    value: null,
    leaderEpoch: 0,
    undecodable,
    headers: () => [],
  };
  expect(index.fold(record)).toBeDefined();
  expect(index.flush()).toBeUndefined();
});
