import { expect, test } from "bun:test";
import { systemClock } from "../../../../src/system/clock.ts";
import { type OrderIds, orderListing, Turns } from "../../../../src/services/orders/listing/order-listing.ts";
import { createLogger } from "../../../../src/telemetry/logger.ts";

const logger = createLogger({ level: "silent", format: "json" });

const atHand = (ids: Iterator<string>): OrderIds => ({ next: () => ids.next(), load: () => Promise.resolve() });

function* numbered(count: number): Generator<string, void> {
  for (let i = 0; i < count; i++) yield `ORD-${i}`;
}

test("listings give the event loop back after each chunk, and share its turns", async () => {
  const turns = new Turns(systemClock);
  let turns_passed = 0;
  let isOver = false;
  const count = () => {
    turns_passed++;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const order: number[] = [];
  const read = async (listing: number): Promise<string> => {
    const stream = orderListing("t", atHand(numbered(100_000)), turns, () => undefined, logger);
    const chunks: Uint8Array[] = [];
    for await (const chunk of stream) {
      order.push(listing);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString();
  };
  const texts = await Promise.all([read(0), read(1), read(2)]);
  isOver = true;
  for (const text of texts) expect((JSON.parse(text) as { orderIds: string[] }).orderIds).toHaveLength(100_000);
  expect(order.length).toBeGreaterThan(3 * 50);
  // There were as many turns as chunks, and none of the three had a second turn before the others had one.
  expect(turns_passed).toBeGreaterThanOrEqual(order.length);
  for (let at = 3; at < order.length - 3; at++) expect(new Set(order.slice(at - 3, at)).size).toBe(3);
});

test("a listing that is left reads no more, also where it waited for its turn", async () => {
  let left = 0;
  let read = 0;
  const ids = (function* () {
    for (;;) {
      read++;
      yield "ORD-1";
    }
  })();
  const turns = new Turns(systemClock);
  const reader = orderListing("t", atHand(ids), turns, () => left++, logger).getReader();
  await reader.read();
  const before = read;
  const pending = reader.read();
  // The chunk is asked for a moment later, and then waits for its turn.
  await Promise.resolve();
  await reader.cancel();
  await pending;
  for (let turn = 0; turn < 3; turn++) await turns.next();
  expect([left, read]).toEqual([1, before]);
});
