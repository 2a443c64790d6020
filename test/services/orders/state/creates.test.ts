import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { createdFact } from "../../../../src/orders/digest.ts";
import { decodeEvent } from "../../../../src/orders/events/decode.ts";
import { encodeEvent } from "../../../../src/orders/events/encode.ts";
import type { OrderCreated } from "../../../../src/orders/events/order-created.ts";
import { EventScanner } from "../../../../src/orders/events/scan/scanner.ts";
import { Creates } from "../../../../src/services/orders/state/creates.ts";
import { anEvent } from "../../../support/events/an-event.ts";
import { orderCreated } from "../../../support/events/orders.ts";
import { plainOrder } from "../../../support/events/plain-state.ts";
import { aWireText } from "../../../support/events/wire-texts.ts";
import { MemoryFile } from "../../../support/stores/memory-file.ts";
import { throwsDamage } from "../../../support/stores/throws-damage.ts";

const aCreate = anEvent.filter((event): event is OrderCreated => event.type === "ORDER_CREATED");

const factOf = ({ order }: OrderCreated) => createdFact(order);
const append = (creates: Creates, create: OrderCreated) => creates.append(create.order, factOf(create));

function save(creates: Creates): number {
  const to = creates.write();
  creates.saved(to);
  return to;
}

/** What the create said, as it is read from the place. */
function readAt(creates: Creates, { orderId, order: { status } }: OrderCreated, place: number) {
  return plainOrder({ created: creates.read(orderId, place), status }).created;
}

const saidBy = ({ order }: OrderCreated) => plainOrder({ created: order, status: order.status }).created;

/** The bytes of one create, and the creates that they are read by. */
function saved(create: OrderCreated): { file: MemoryFile; creates: Creates } {
  const file = new MemoryFile();
  const creates = new Creates(file, 0);
  append(creates, create);
  creates.keep();
  save(creates);
  return { file, creates };
}

describe("what a create said", () => {
  test("is read as it was appended: from memory, from the file, and by who opens the file later", () => {
    fc.assert(
      fc.property(fc.array(aCreate, { minLength: 1, maxLength: 8 }), (all) => {
        const file = new MemoryFile();
        const creates = new Creates(file, 0);
        const places = all.map((create) => append(creates, create));
        const readAll = (from: Creates) => all.map((create, n) => readAt(from, create, places[n] as number));
        const said = all.map(saidBy);
        expect(readAll(creates)).toEqual(said);
        creates.keep();
        const to = save(creates);
        expect(readAll(creates)).toEqual(said);
        expect(readAll(new Creates(file, to))).toEqual(said);
      }),
    );
  });

  test("with as many items as there may be is read whole", () => {
    const items = Array.from({ length: 1_000 }, (_, n) => ({
      itemId: `ITEM-${n}-${"x".repeat(100)}`,
      quantity: n + 1,
      price_hundredths: n * 1e10,
    }));
    const create = orderCreated({ order: { items } });
    expect(readAt(saved(create).creates, create, 0)).toEqual(saidBy(create));
  });

  test("is the same bytes whether its event was scanned or decoded", () => {
    const scanner = new EventScanner();
    const sameBytes = (orderId: string, text: string): void => {
      const [key, value] = [Buffer.from(orderId), Buffer.from(text)];
      const bytes = Buffer.concat([key, value]);
      const event = decodeEvent(key, value);
      if (!scanner.scan(bytes, 0, key.length, key.length, bytes.length) || !("type" in event)) return;
      if (event.type !== "ORDER_CREATED") return;
      const [decoded, scanned] = [new MemoryFile(), new MemoryFile()];
      const fromScan = new Creates(scanned, 0);
      fromScan.appendScanned(scanner.event, factOf(event));
      fromScan.keep();
      save(fromScan);
      const fromText = new Creates(decoded, 0);
      append(fromText, event);
      fromText.keep();
      save(fromText);
      expect(scanned.toBuffer()).toEqual(decoded.toBuffer());
    };
    fc.assert(
      fc.property(aWireText, ({ orderId, text }) => sameBytes(orderId, text)),
      { numRuns: 1_000 },
    );
    // Most dates above have no milliseconds, so that they are kept as text; these are kept as a number.
    const anyDay = fc.date({ min: new Date("0000-01-01"), max: new Date("9999-12-31"), noInvalidDate: true });
    fc.assert(
      fc.property(anyDay, (day) => {
        const create = orderCreated({ order: { orderDate: day.toISOString() } });
        sameBytes(create.orderId, encodeEvent(create));
      }),
      { numRuns: 1_000 },
    );
  });

  test.each([
    ["2026-11-22T21:42:39.413Z", 7],
    ["1970-01-01T00:00:00.000Z", 7],
    ["9999-12-31T23:59:59.999Z", 7],
    ["2024-02-29T23:59:59.999Z", 7],
    ["1969-12-31T23:59:59.999Z", 26],
    ["2026-11-22T21:42:39Z", 22],
    ["2026-11-22T21:42:39.41Z", 25],
    ["2026-11-22T21:42:39.413708Z", 29],
    ["2026-11-22T21:42:39.413+00:00", 31],
    ["2026-11-22T23:42:39.413+02:00", 31],
  ] as const)("keeps the date %s as it is, in %d bytes", (orderDate, bytes) => {
    const create = orderCreated({ order: { orderDate, items: [] } });
    const { creates, file } = saved(create);
    expect(readAt(creates, create, 0).orderDate).toBe(orderDate);
    const others = { guard: 4, total: 2, currency: 3, customerId: 1 + "CUST-00001".length, items: 1 };
    expect(file.size - Object.values(others).reduce((sum, each) => sum + each)).toBe(bytes);
  });
});

describe("what is at a place", () => {
  test("is noticed if a byte of it is another, or it is what another order's create said", () => {
    fc.assert(
      fc.property(aCreate, fc.nat(), fc.integer({ min: 1, max: 255 }), (create, at, bits) => {
        const { file, creates } = saved(create);
        expect(throwsDamage(() => creates.read(`${create.orderId}0`, 0))).toBe(true);
        const damaged = file.toBuffer();
        damaged[at % file.size]! ^= bits;
        file.write(damaged, 0, damaged.length, 0);
        let read: unknown;
        // Some bits say nothing: any number but one says that a date is text.
        if (!throwsDamage(() => (read = readAt(creates, create, 0)))) expect(read).toEqual(saidBy(create));
      }),
      { numRuns: 1_000 },
    );
  });

  test("is noticed if the file ends before it, or the place is behind what there is", () => {
    const create = orderCreated();
    const { creates, file } = saved(create);
    expect(throwsDamage(() => creates.read("ORD-1", creates.next))).toBe(true);
    expect(throwsDamage(() => creates.read("ORD-1", creates.next + 1_000))).toBe(true);
    file.truncate(file.size - 1);
    expect(throwsDamage(() => creates.read("ORD-1", 0))).toBe(true);
  });
});

describe("the end of the creates", () => {
  const [first, second, third] = ["1", "2", "3"].map((id) => orderCreated({ orderId: `ORD-${id}` })) as [
    OrderCreated,
    OrderCreated,
    OrderCreated,
  ];

  test("is not taken for another where there is no memory to read it into", () => {
    const create = orderCreated();
    const { file, creates } = saved(create);
    file.fault = () => {
      throw new RangeError("Out of memory");
    };
    expect(() => creates.read(create.orderId, 0)).toThrow(new RangeError("Out of memory"));
  });

  test("goes back to what was kept, when what was appended since is folded again", () => {
    const creates = new Creates(new MemoryFile(), 0);
    append(creates, first);
    creates.keep();
    const place = append(creates, second);
    append(creates, third);
    creates.reset();
    expect(creates.next).toBe(place);
    expect(append(creates, third)).toBe(place);
    expect(readAt(creates, first, 0)).toEqual(saidBy(first));
    expect(readAt(creates, third, place)).toEqual(saidBy(third));
  });

  test("in the file is that of what was kept when it was written; what came meanwhile is written the next time", () => {
    const file = new MemoryFile();
    const creates = new Creates(file, 0);
    append(creates, first);
    creates.keep();
    const second_place = append(creates, second);
    const to = creates.write();
    expect([to, file.size]).toEqual([second_place, second_place]);
    creates.keep();
    const third_place = append(creates, third);
    creates.saved(to);
    expect(readAt(creates, second, second_place)).toEqual(saidBy(second));
    expect(readAt(creates, third, third_place)).toEqual(saidBy(third));
    creates.reset();
    expect(save(creates)).toBe(third_place);
    expect(readAt(new Creates(file, third_place), second, second_place)).toEqual(saidBy(second));
  });

  test("is where the last saving that counted left it: bytes behind it are written over", () => {
    const file = new MemoryFile();
    const before = new Creates(file, 0);
    append(before, first);
    before.keep();
    const to = save(before);
    append(before, second);
    before.keep();
    before.write();
    const after = new Creates(file, to);
    expect(append(after, third)).toBe(to);
    after.keep();
    save(after);
    expect(readAt(after, first, 0)).toEqual(saidBy(first));
    expect(readAt(after, third, to)).toEqual(saidBy(third));
  });
});
