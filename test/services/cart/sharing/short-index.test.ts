import { expect, test } from "bun:test";
import { AppError } from "../../../../src/errors.ts";
import { Members } from "../../../../src/fleet/members.ts";
import { partitionFor } from "../../../../src/log/partitioner.ts";
import { Coverage } from "../../../../src/services/cart/sharing/coverage.ts";
import { IndexesElsewhere } from "../../../../src/services/cart/sharing/elsewhere.ts";
import { findHere } from "../../../../src/services/cart/sharing/find-here.ts";
import { Holders } from "../../../../src/services/cart/sharing/holders.ts";
import { systemClock } from "../../../../src/system/clock.ts";
import { ListCart, ListLog } from "../../../support/carts.ts";
import { orderCreated, recordOf } from "../../../support/events/orders.ts";

const [EARLIER, COUNT] = [2, 3];

const homeOf = (orderId: string, count = COUNT): number => partitionFor("murmur2", orderId, count);

/** Orders that carts put in partition 1 while there were two partitions, and that belong elsewhere since. */
const strays = Array.from({ length: 200 }, (_, n) => `ORD-${n}`).filter(
  (orderId) => homeOf(orderId, EARLIER) === 1 && homeOf(orderId) !== 1,
);
const [READ = "", UNREAD = "", NEVER_MADE = ""] = strays;
/** Neither count puts it in partition 1. */
const FOREIGN = Array.from({ length: 200 }, (_, n) => `ORD-${n}`).find(
  (orderId) => homeOf(orderId, EARLIER) !== 1 && homeOf(orderId) !== 1,
)!;

/**
 * A cart that began to place by more partitions when partition 1 held two strays, of which its index of that partition,
 * complete at an earlier end, has read one. Another cart holds the partition, too.
 */
function shortIndex() {
  const log = new ListLog(COUNT);
  const cart = new ListCart(log);
  const { set: partitions, index, progress } = cart;
  const stray = cart.held[1]!;
  log.append(recordOf(orderCreated({ orderId: READ }), { partition: 1 }));
  stray.read();
  log.append(recordOf(orderCreated({ orderId: UNREAD }), { partition: 1 }));
  const coverage = new Coverage();
  coverage.settle({ topicId: "T", partitions: log.partitions.map((_, p) => log.endsOf(p)) });
  const members = new Members(systemClock);
  const all = [
    { id: "a", endpoint: "http://a", partitions: [0, 2], standbys: [1] },
    { id: "b", endpoint: "http://b", partitions: [1], standbys: [] },
  ];
  members.assigned({ partitions: [0, 2], standbys: [1], memberId: "a", members: all });
  const holders = new Holders(partitions, coverage, members);
  const elsewhere = new IndexesElsewhere({
    partitions,
    holders,
    coverage,
    fleet: undefined as never,
    homes: (orderId) => [homeOf(orderId)],
    haltedMayHave: (partition, orderId) => index.mayHave(partition, orderId),
    partitioner: "murmur2",
    clock: systemClock,
  });
  const find = findHere({ partitions, holders, index, progress });
  const ask = (orderId: string) =>
    find({ orderId, eventId: undefined, toEnd: [] }, 1, coverage.requiredOf(1), systemClock.now_ms() + 50).catch(
      (e: unknown) => (e as AppError).code,
    );
  return { log, stray, holders, elsewhere, ask };
}

test("an index that is complete, but not as far as others placed by fewer partitions, is asked for elsewhere until it is", async () => {
  const { stray, holders, elsewhere, ask } = shortIndex();
  expect([holders.isHere(1), elsewhere.isElsewhere(1), elsewhere.mayHave(UNREAD)]).toEqual([false, true, [1]]);
  expect(await ask(UNREAD)).toBe("PARTITION_ELSEWHERE");
  stray.read();
  expect([holders.isHere(1), elsewhere.isElsewhere(1), elsewhere.mayHave(UNREAD)]).toEqual([true, false, []]);
  expect(await ask(UNREAD)).toMatchObject({ order: { partition: 1, offset: 1 } });
});

test("a later leader's end is far enough, as it may have lost what the one before it had", () => {
  const { stray, holders } = shortIndex();
  stray.leaderEpoch = 1;
  expect(holders.isHere(1)).toBe(true);
  stray.state = "catching-up";
  expect(holders.isHere(1)).toBe(false);
});

test("an index that was halted before that holds up the orders that may have strayed there, and no others", async () => {
  const { stray, elsewhere, ask } = shortIndex();
  stray.halt(new AppError("LOG_DISAGREES", "It is halted."));
  expect(elsewhere.mayHave(NEVER_MADE)).toEqual([1]);
  expect(await ask(NEVER_MADE)).toBe("PARTITION_HALTED");
  expect(elsewhere.mayHave(FOREIGN)).toEqual([]);
  expect(await ask(FOREIGN)).toEqual({ order: undefined, keyed: undefined });
});

test("an index that was halted after that tells what it has", async () => {
  const { stray, elsewhere, ask } = shortIndex();
  stray.read();
  stray.halt(new AppError("LOG_DISAGREES", "It is halted."));
  expect(elsewhere.mayHave(NEVER_MADE)).toEqual([]);
  expect(await ask(NEVER_MADE)).toEqual({ order: undefined, keyed: undefined });
});
