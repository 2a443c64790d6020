import { expect, test } from "bun:test";
import { AppError } from "../../../../src/errors.ts";
import { Members, type Peer } from "../../../../src/fleet/members.ts";
import { partitionFor } from "../../../../src/log/partitioner.ts";
import { Coverage, indexCommitted } from "../../../../src/services/cart/sharing/coverage.ts";
import { IndexesElsewhere } from "../../../../src/services/cart/sharing/elsewhere.ts";
import { findHere } from "../../../../src/services/cart/sharing/find-here.ts";
import { Holders } from "../../../../src/services/cart/sharing/holders.ts";
import { type FoundInIndex, writeToldIndex } from "../../../../src/services/cart/sharing/index-question.ts";
import { systemClock } from "../../../../src/system/clock.ts";
import { codeOf, ListCart, ListLog } from "../../../support/carts.ts";
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
  const coverage = new Coverage();
  const members = new Members(systemClock);
  const holders: Holders = new Holders({ get: (partition) => cart.set.get(partition) }, coverage, members);
  const asked: string[] = [];
  const answers = new Map<string, FoundInIndex | AppError>();
  const fleet = {
    members,
    send: ({ url }: Peer) => {
      asked.push(url);
      const text = writeToldIndex(new Map([[1, answers.get(url) ?? {}]]));
      return Promise.resolve({ status: 200, text, headers: new Headers() });
    },
  };
  const elsewhere = new IndexesElsewhere({
    partitions: { partitionCount: COUNT },
    holders,
    coverage,
    fleet: fleet as never,
    homes: (orderId) => [homeOf(orderId)],
    haltedMayHave: (partition, orderId) => cart.index.mayHave(partition, orderId),
    partitioner: "murmur2",
    clock: systemClock,
  });
  const cart: ListCart = new ListCart(log, 200, elsewhere);
  const { set: partitions, index, progress } = cart;
  const stray = cart.held[1]!;
  log.append(recordOf(orderCreated({ orderId: READ }), { partition: 1 }));
  stray.read();
  log.append(recordOf(orderCreated({ orderId: UNREAD }), { partition: 1 }));
  const ends = { topicId: "T", partitions: log.partitions.map((_, p) => log.endsOf(p)) };
  coverage.settle(ends, ends);
  const placedBy = [EARLIER, COUNT];
  coverage.hear(new Map([[1, indexCommitted({ nextOffset: 2, topicId: "T", placedBy })]]));
  const hold = (...others: readonly string[]) => {
    const all = [
      { id: "a", endpoint: "http://a", partitions: [0, 2], standbys: [1] },
      ...others.map((id, n) => ({ id, endpoint: `http://${id}`, partitions: n === 0 ? [1] : [], standbys: n === 0 ? [] : [1] })),
    ];
    members.assigned({ partitions: [0, 2], standbys: [1], memberId: "a", members: all });
  };
  hold("b");
  const find = findHere({ partitions, holders, index, progress });
  const deadline_ms = () => systemClock.now_ms() + 50;
  const ask = (orderId: string, from = coverage.requiredOf(1)) =>
    find({ orderId, eventId: undefined, toEnd: [] }, 1, from, deadline_ms()).catch((e: unknown) => (e as AppError).code);
  const askOthers = (orderId: string) =>
    elsewhere.find({ orderId, eventId: undefined, toEnd: [] }, [1], deadline_ms()).catch((e: unknown) => (e as AppError).code);
  return { log, cart, stray, coverage, holders, elsewhere, hold, ask, askOthers, answers, asked };
}

const halted = new AppError("PARTITION_HALTED", "It is halted.", { partition: 1 });
const nothing = { order: undefined, keyed: undefined };

test("an index that is complete, but not as far as others placed by fewer partitions, is asked for elsewhere until it is", async () => {
  const { stray, holders, elsewhere, ask } = shortIndex();
  expect([holders.isHere(1), elsewhere.isElsewhere(1), elsewhere.mayHave(UNREAD)]).toEqual([false, true, [1]]);
  expect(await ask(UNREAD)).toBe("PARTITION_ELSEWHERE");
  stray.read();
  expect([holders.isHere(1), elsewhere.isElsewhere(1), elsewhere.mayHave(UNREAD)]).toEqual([true, false, []]);
  expect(await ask(UNREAD)).toMatchObject({ order: { partition: 1, offset: 1 } });
});

test("it is waited for where no other cart holds it any more", async () => {
  const { cart, stray, hold } = shortIndex();
  stray.isHeld = true;
  hold();
  expect(cart.progress.isComplete).toBe(false);
  expect(codeOf(await cart.create(UNREAD))).toBe("CATCHING_UP");
  expect(codeOf(await cart.update(UNREAD, "shipped"))).toBe("CATCHING_UP");
  stray.read();
  expect(codeOf(await cart.create(UNREAD))).toBe("ORDER_EXISTS");
});

test("a later leader's end is far enough, as it may have lost what the one before it had", async () => {
  const { log, stray, holders, ask } = shortIndex();
  log.partitions[1]!.pop();
  expect(await ask(FOREIGN, { offset: 2, leaderEpoch: 0 })).toBe("PARTITION_ELSEWHERE");
  stray.leaderEpoch = 1;
  expect(holders.isHere(1)).toBe(true);
  expect(await ask(FOREIGN, { offset: 2, leaderEpoch: 0 })).toEqual(nothing);
  expect(await ask(FOREIGN, { offset: 2, leaderEpoch: 1 })).toBe("CATCHING_UP");
  stray.state = "catching-up";
  expect(holders.isHere(1)).toBe(false);
  log.append(recordOf(orderCreated({ orderId: UNREAD }), { partition: 1 }));
  stray.state = "running";
  expect(holders.isHere(1)).toBe(false);
});

test("an index that was halted before that holds up the orders that may have strayed there, and no others", async () => {
  const { cart, stray, elsewhere, hold, ask, answers } = shortIndex();
  stray.halt(halted);
  answers.set("http://b", halted);
  expect(await ask(NEVER_MADE)).toBe("PARTITION_HALTED");
  expect(await ask(FOREIGN)).toEqual({ ...nothing, mayLack: true });
  for (const [others, code] of [
    [["b"], "PARTITION_HALTED"],
    [[], "OWNER_UNREACHABLE"],
  ] as const) {
    hold(...others);
    expect(elsewhere.mayHave(NEVER_MADE)).toEqual([1]);
    expect(elsewhere.mayHave(FOREIGN)).toEqual([]);
    expect(codeOf(await cart.create(NEVER_MADE))).toBe(code);
  }
  expect(codeOf(await cart.create(FOREIGN))).toBe("ok");
});

test("where one holder's index is halted, the next one is asked", async () => {
  const { hold, askOthers, answers, asked } = shortIndex();
  hold("b", "c");
  answers.set("http://b", halted);
  answers.set("http://c", { order: { partition: 1, offset: 1, eventId: "e" } });
  expect(await askOthers(UNREAD)).toMatchObject({ order: { offset: 1 } });
  answers.set("http://b", { mayLack: true });
  expect(await askOthers(UNREAD)).toMatchObject({ order: { offset: 1 } });
  answers.set("http://c", halted);
  expect(await askOthers(UNREAD)).toBe("PARTITION_HALTED");
  answers.set("http://b", halted);
  answers.set("http://c", { mayLack: true });
  expect(await askOthers(UNREAD)).toBe("PARTITION_HALTED");
  answers.set("http://b", { mayLack: true });
  expect(await askOthers(UNREAD)).toEqual(nothing);
  expect(asked).toEqual(Array.from({ length: 5 }, () => ["http://b", "http://c"]).flat());
});

test.each(["PARTITION_BLOCKED", "CATCHING_UP", "LOG_UNAVAILABLE", "STORE_FAILED"] as const)(
  "where one holder cannot answer, by %s, the next one is asked; if none can, why not is told",
  async (code) => {
    const { hold, askOthers, answers } = shortIndex();
    hold("b", "c");
    const hindered = new AppError(code, "It cannot.", { partition: 1 });
    answers.set("http://b", hindered);
    answers.set("http://c", { order: { partition: 1, offset: 1, eventId: "e" } });
    expect(await askOthers(UNREAD)).toMatchObject({ order: { offset: 1 } });
    answers.set("http://c", {});
    expect(await askOthers(NEVER_MADE)).toEqual(nothing);
    answers.set("http://c", hindered);
    expect(await askOthers(UNREAD)).toBe(code);
  },
);

test("an index that was halted after that tells what it has", async () => {
  const { stray, elsewhere, ask } = shortIndex();
  stray.read();
  stray.halt(halted);
  expect(elsewhere.mayHave(NEVER_MADE)).toEqual([]);
  expect(await ask(NEVER_MADE)).toEqual({ ...nothing, mayLack: false });
});

test("what a cart must know of a partition it must know after a restart, too", async () => {
  const { log, stray, elsewhere, coverage } = shortIndex();
  const again = new Coverage();
  again.begin({ topicId: "T", partitions: log.partitions.map((_, p) => log.endsOf(p)) });
  expect([coverage.isReachedBy(stray), again.isReachedBy(stray)]).toEqual([false, false]);
  stray.read();
  expect([again.isReachedBy(stray), elsewhere.isShort(1)]).toEqual([true, false]);
});

test("a transaction that was open when the log was asked where it ends is waited for, and no other", () => {
  const coverage = new Coverage();
  const at = (endOffset: number, stableOffset: number) => ({
    topicId: "T",
    partitions: [{ startOffset: 0, endOffset, stableOffset, leaderEpoch: 0 }],
  });
  expect(() => coverage.settle(at(5, 3), at(9, 4))).toThrow("cannot be known now");
  coverage.settle(at(5, 3), at(9, 5));
  expect(coverage.requiredOf(0)).toEqual({ offset: 5, leaderEpoch: 0 });
  const gone = { topicId: "T", partitions: [{ unavailable: "It has no leader." }] };
  expect(() => coverage.settle(gone, at(9, 9))).toThrow("cannot be known now");
});
