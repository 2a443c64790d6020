import { expect, test } from "bun:test";
import { AppError } from "../../../../src/errors.ts";
import { nowhere } from "../../../../src/services/cart/sharing/elsewhere.ts";
import { eventually } from "../../../runtime/rig.ts";
import { codeOf, ListCart, ListLog } from "../../../support/carts.ts";

/** Two carts; the first one's index of partition 0 moves to the second one when `move` is called. */
function movingIndex() {
  const log = new ListLog(1);
  let hasMoved = false;
  const second = new ListCart(log);
  const first = new ListCart(log, 200, {
    ...nowhere,
    isElsewhere: () => hasMoved,
    find: async ({ orderId, eventId, toEnd }, partitions) => {
      expect([toEnd, partitions]).toEqual([[0], [0]]);
      second.held[0]!.read();
      return second.index.lookUp(0, orderId, eventId);
    },
  });
  const [home] = first.held;
  const move = async (): Promise<void> => {
    home!.read();
    home!.isHeld = true;
    const before = log.partitions[0]!.length;
    await eventually(() => log.partitions[0]!.length > before);
    hasMoved = true;
    home!.halt(new AppError("PARTITION_ELSEWHERE", "It has moved."));
  };
  return { first, second, move };
}

test.each([
  ["a create under a key", (cart: ListCart) => cart.create("ORD-1", "k")],
  ["an update under a key", (cart: ListCart) => cart.update("ORD-2", "shipped", "k")],
])("%s whose index moves before it is read back gets its answer from the new holder", async (_, ask) => {
  const { first, second, move } = movingIndex();
  expect(codeOf(await first.create("ORD-2"))).toBe("ok");
  const moving = move();
  const answer = await ask(first);
  await moving;
  expect(answer).toBe("0:1");
  expect(await ask(second)).toBe("0:1");
});

test("an index that was another cart's while it was to be read is asked for there, though it is here again", async () => {
  const log = new ListLog(1);
  const second = new ListCart(log);
  let isAway = true;
  const first = new ListCart(log, 200, {
    ...nowhere,
    isElsewhere: () => isAway,
    all: (left) => {
      isAway = false;
      return left;
    },
    find: async ({ orderId, eventId }, partitions) => second.index.lookUp(partitions[0]!, orderId, eventId),
  });
  first.held[0]!.isHeld = true;
  expect(codeOf(await second.create("ORD-1"))).toBe("ok");
  second.held[0]!.read();
  expect(codeOf(await first.update("ORD-1", "shipped"))).toBe("PARTITION_ELSEWHERE");
});
