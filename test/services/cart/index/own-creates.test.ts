import { describe, expect, test } from "bun:test";
import { indexProjection } from "../../../../src/services/cart/index/index-projection.ts";
import { OwnCreates } from "../../../../src/services/cart/index/own-creates.ts";
import { aLogRecord } from "../../../support/events/records.ts";
import { encodeEvent } from "../../../../src/orders/events/encode.ts";
import { logRecordOf, orderCreated } from "../../../support/events/orders.ts";
import { MemoryFiles } from "../../../support/stores/memory-files.ts";
import { placingIn } from "../../../support/events/placing.ts";

const idOf = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`;
const OWN = orderCreated({ eventId: idOf(1) });
const OTHER = orderCreated({ eventId: idOf(2) });
/** The cart's own create, with an item id that JSON may have to escape. */
const ownOf = (itemId: string) =>
  orderCreated({ eventId: idOf(1), order: { items: [{ itemId, quantity: 1, price_hundredths: 1_000 }] } });

function openIndex(ownCreates: OwnCreates) {
  const projection = indexProjection(ownCreates, placingIn(3));
  return projection.open(new MemoryFiles([projection]), 3);
}

describe("a cart's own creates", () => {
  test("are answered from memory once acknowledged, until the index has them", () => {
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
    const begun = own.begin("ORD-1", idOf(1), encodeEvent(OWN));
    expect(index.fold(logRecordOf(OWN, 5))).toBeUndefined();
    expect(begun?.contended).toBe(false);
    expect(index.fold(logRecordOf(orderCreated({ orderId: "ORD-2" }), 6))).toBeUndefined();
    expect(begun?.contended).toBe(false);
    // The other create is as long as the cart's own, so that only the id tells them apart.
    expect(index.fold(logRecordOf(OTHER, 7))).toBeUndefined();
    expect(begun?.contended).toBe(true);
    index.keep();
    expect(index.view.order("ORD-1")).toEqual({ partition: 3, offset: 5, eventId: idOf(1) });
    expect(index.view.order("ORD-2")?.offset).toBe(6);
  });

  test("that come first in the log from another cart stay first", () => {
    const own = new OwnCreates();
    const index = openIndex(own);
    own.begin("ORD-1", idOf(1), encodeEvent(OWN));
    index.fold(logRecordOf(OTHER, 4));
    index.fold(logRecordOf(OWN, 5));
    index.keep();
    expect(index.view.order("ORD-1")).toEqual({ partition: 3, offset: 4, eventId: idOf(2) });
  });

  test("are recognised by their bytes: with text beyond ASCII or with escapes they are decoded like anybody's", () => {
    const texts = ["ITEM", "Käse", "漢字", "🎈", 'a "quoted" one', "back\\slash"];
    for (const text of texts) {
      const own = new OwnCreates();
      const index = openIndex(own);
      const event = ownOf(text);
      own.begin("ORD-1", idOf(1), encodeEvent(event));
      expect(own.recognise(logRecordOf(event, 5)) !== undefined).toBe(text === "ITEM");
      index.fold(logRecordOf(event, 5));
      index.keep();
      expect(index.view.order("ORD-1")?.eventId).toBe(idOf(1));
    }
  });

  test("are not taken for events where no reader takes them for one", () => {
    const own = new OwnCreates();
    const index = openIndex(own);
    const event = ownOf("caf\ud83d");
    own.begin("ORD-1", idOf(1), encodeEvent(event));
    expect(index.fold(logRecordOf(event, 5))).toMatchObject({ code: "wrong_shape" });
    index.keep();
    expect(index.view.order("ORD-1")).toBeUndefined();
  });
});

test("a batch that cannot be decoded is passed over", () => {
  const index = openIndex(new OwnCreates());
  const undecodable = { lastOffset: 9, reason: "Its codec is not known." };
  expect(index.fold(aLogRecord({ key: null, value: null, undecodable }))).toBeDefined();
  expect(index.keep()).toBeUndefined();
});
