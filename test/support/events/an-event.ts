import * as fc from "fast-check";
import type { Change, OrderEvent } from "../../../src/orders/events/kinds.ts";
import { STATUSES } from "../../../src/orders/order.ts";

const name = fc.string({ unit: "binary", minLength: 1, maxLength: 64 }).filter((s) => s.length <= 128);
const date = fc
  .tuple(
    fc.date({ min: new Date("1970-01-01"), max: new Date("9999-12-31"), noInvalidDate: true }),
    fc.constantFrom("Z", "+02:00", "456Z"),
  )
  .map(([d, zone]) => d.toISOString().replace("Z", zone));
const moneyAmount = fc.integer({ min: 0, max: 1e14 });
const orderId = fc.stringMatching(/^ORD-[0-9]{1,64}$/);

/** A UUID, or any other text that an event id may be. */
export const anEventId = fc.oneof(
  fc.uuid(),
  name.filter((s) => !/\p{Cc}/u.test(s)),
);
export const aStatus = fc.constantFrom(...STATUSES);

const head = { eventId: anEventId, timestamp: date };
const item = fc.record({ itemId: name, quantity: fc.integer({ min: 1, max: 1_000_000 }), price_hundredths: moneyAmount });
const changes = {
  ORDER_STATUS_UPDATED: fc.record({
    type: fc.constant("ORDER_STATUS_UPDATED" as const),
    status: aStatus,
  }),
} satisfies { [Type in Change["type"]]: fc.Arbitrary<Extract<Change, { type: Type }>> };

/** Any change of an order, of each kind that there is. */
export const aChange: fc.Arbitrary<Change> = fc.oneof(...Object.values(changes));

/** Any event within the bounds, of each kind that there is, as the encoder may get it. */
export const anEvent: fc.Arbitrary<OrderEvent> = orderId.chain((id) =>
  fc.oneof(
    fc.tuple(fc.record({ ...head, orderId: fc.constant(id) }), aChange).map(([at, change]): OrderEvent => ({ ...at, ...change })),
    fc.record({
      type: fc.constant("ORDER_CREATED" as const),
      ...head,
      orderId: fc.constant(id),
      order: fc.record({
        orderId: fc.constant(id),
        customerId: name,
        orderDate: date,
        items: fc.array(item, { maxLength: 5 }),
        total_hundredths: moneyAmount,
        currency: fc.stringMatching(/^[A-Z]{3}$/),
        status: aStatus,
      }),
    }),
  ),
);
