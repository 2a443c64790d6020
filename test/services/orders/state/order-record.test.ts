import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { EventIds } from "../../../../src/orders/event-ids.ts";
import { initialState, type OrderState } from "../../../../src/orders/fold.ts";
import { nameOf } from "../../../../src/orders/order-key.ts";
import { type Order, orderFields } from "../../../../src/orders/order.ts";
import { ByteWriter } from "../../../../src/runtime/store/bytes/byte-writer.ts";
import { CachedOrder } from "../../../../src/services/orders/state/cached-orders.ts";
import { Creates } from "../../../../src/services/orders/state/creates.ts";
import { readRecord, writeRecord } from "../../../../src/services/orders/state/order-record.ts";
import type { StoredCreated } from "../../../../src/services/orders/state/stored-created.ts";
import { createdFact } from "../../../../src/orders/digest.ts";
import { aChange, anEventId, aStatus } from "../../../support/events/an-event.ts";
import { anOrder } from "../../../support/events/orders.ts";
import { plainState } from "../../../support/events/plain-state.ts";
import { MemoryFile } from "../../../support/stores/memory-file.ts";
import { throwsDamage } from "../../../support/stores/throws-damage.ts";

const creates = new Creates(new MemoryFile(), 0);
const order = anOrder();
const place = creates.append(order.created, createdFact(order.created));

const eventIdsOf = (...ids: string[]) => ids.reduce((all, eventId) => all.with({ eventId }), EventIds.none);

function written(state: OrderState, spilled = 0, at = place): Buffer {
  const out = new ByteWriter();
  writeRecord(out, state, spilled, at);
  return Buffer.from(out.bytes.subarray(0, out.at));
}

/** Reads the record where it lies between other bytes, as in a block. */
function read(record: Buffer): CachedOrder {
  const found = new CachedOrder(nameOf(order.created.orderId));
  const bytes = Buffer.concat([Buffer.from("before"), record, Buffer.from("behind")]);
  readRecord(creates, found, bytes, "before".length, bytes.length - "behind".length);
  return found;
}

/** Another value of each field that may change; the compiler asks for one where a field is new. */
const others: Required<Omit<Order, "created">> = { status: "shipped" };

/** Any state of the order: before its create or after it, with ids that are UUIDs and ids that are not. */
const aState: fc.Arbitrary<OrderState> = fc
  .tuple(fc.option(aStatus), fc.array(aChange, { maxLength: 100 }), fc.array(anEventId, { maxLength: 80 }))
  .map(([status, held, ids]) => ({
    order: status === null ? undefined : { ...order, status },
    held: status === null ? held : initialState.held,
    eventIds: eventIdsOf(...ids),
  }));

describe("an order's record", () => {
  test.each(Object.keys(others) as (keyof typeof others)[])("has the order's %s, which may change", (field) => {
    const changed = { ...order, [field]: others[field] };
    expect(others[field]).not.toBe(order[field]);
    expect(plainState(read(written({ ...initialState, order: changed })).state)).toEqual(
      plainState({ ...initialState, order: changed }),
    );
  });

  test("has every field that the create does not have for ever", () => {
    const changing = orderFields.flatMap(({ field, fact }) => (fact === "created" ? [] : [field]));
    expect(Object.keys(others)).toEqual(changing);
  });

  test("is read as it was written", () => {
    fc.assert(
      fc.property(aState, fc.oneof(fc.nat(2), fc.nat()), (state, spilled) => {
        const found = read(written(state, spilled));
        expect(plainState(found.state)).toEqual(plainState(state));
        expect(found.spilled).toBe(spilled);
      }),
    );
  });

  test("says where its create is, also far into a large file", () => {
    const far = 2 ** 47 + 3;
    const { order: found } = read(written({ ...initialState, order }, 0, far)).state;
    expect(found?.created).toMatchObject({ place: far } satisfies Partial<StoredCreated>);
  });

  test("of four events takes at most 80 bytes", () => {
    const ids = Array.from({ length: 4 }, () => crypto.randomUUID());
    expect(written({ ...initialState, order, eventIds: eventIdsOf(...ids) }).length).toBeLessThanOrEqual(80);
  });

  test("that is cut short is a damaged one", () => {
    fc.assert(
      fc.property(aState, fc.nat(), fc.nat(), (state, spilled, cut) => {
        const record = written(state, spilled);
        const damaged = record.subarray(0, cut % record.length);
        expect(throwsDamage(() => readRecord(creates, new CachedOrder(1), damaged, 0, damaged.length))).toBe(true);
      }),
    );
  });

  test("whose status or waiting change is none is a damaged one", () => {
    const statusless = written({ ...initialState, order });
    // The status comes behind the parts and the six bytes of the place.
    statusless[7] = 99;
    expect(throwsDamage(() => read(statusless))).toBe(true);
    const waiting = written({ ...initialState, held: [{ type: "ORDER_STATUS_UPDATED", status: "shipped" }] });
    waiting[waiting.indexOf("shipped")] = "S".charCodeAt(0);
    expect(() => read(waiting)).toThrow("the held updates of ORD-1 cannot be read");
  });
});
