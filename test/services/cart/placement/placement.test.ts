import { describe, expect, test } from "bun:test";
import { COUNT_TRUSTED_MS_MAX, Placement } from "../../../../src/services/cart/placement/placement.ts";
import { AppError } from "../../../../src/errors.ts";
import { partitionFor } from "../../../../src/log/partitioner.ts";
import { codeOf } from "../../../support/code-of.ts";
import { ManualClock } from "../../../support/manual-clock.ts";

const SETTLE_MS = 10_000;

function setUp({ isNew = false, remembered }: { isNew?: boolean; remembered?: number } = {}) {
  const clock = new ManualClock();
  const index: { atEnd: PromiseWithResolvers<void>; hindrance?: AppError } = { atEnd: Promise.withResolvers<void>() };
  index.atEnd.resolve();
  const kept: number[] = [];
  const told: string[] = [];
  const ending = new AbortController();
  const placement = new Placement({
    partitioner: "murmur2",
    settle_ms: SETTLE_MS,
    catchUp: () => index.atEnd.promise,
    hindrance: () => index.hindrance,
    isTopicNew: () => Promise.resolve(isNew),
    recall: () => remembered,
    remember: (count) => kept.push(count),
    onMessage: (message) => told.push(message),
    clock,
    ending: ending.signal,
  });
  const confirm = async (count: number) => {
    placement.confirm(count, clock.now_ms());
    await clock.pass(0);
  };
  return { clock, index, kept, told, placement, confirm };
}

const ids = Array.from({ length: 100 }, (_, n) => `ORD-${n}`);
const home = (orderId: string, count: number) => partitionFor("murmur2", orderId, count);

describe("placement", () => {
  test.each([
    ["on a new topic", { isNew: true }],
    ["where this cart placed by the same count before", { remembered: 4 }],
  ])("begins at once %s", async (_, options) => {
    const { placement, confirm } = setUp(options);
    expect(placement.place("ORD-1")).toBeUndefined();
    await confirm(4);
    expect(ids.map((id) => placement.place(id))).toEqual(ids.map((id) => home(id, 4)));
  });

  test("begins on a topic that is new to the cart when the count has stood for the settling time", async () => {
    const { clock, kept, told, placement, confirm } = setUp();
    await confirm(4);
    await clock.pass(SETTLE_MS - 1);
    await confirm(4);
    expect(told).toHaveLength(1);
    expect([placement.isSettled, placement.place("ORD-1")]).toEqual([false, undefined]);
    await clock.pass(1);
    await confirm(4);
    expect([placement.isSettled, placement.place("ORD-1"), kept]).toEqual([true, home("ORD-1", 4), [4]]);
  });

  test("after partitions were added, goes on with what stays where it is, and holds back what moves (I8)", async () => {
    const { clock, index, placement, confirm } = setUp({ remembered: 4 });
    await confirm(4);
    await confirm(6);
    const stays = (id: string) => home(id, 4) === home(id, 6);
    expect(new Set(ids.map(stays)).size).toBe(2);
    expect(ids.map((id) => placement.place(id))).toEqual(ids.map((id) => (stays(id) ? home(id, 4) : undefined)));

    // The orders that other carts placed by the smaller count must have been read before the larger count holds.
    index.atEnd = Promise.withResolvers();
    await clock.pass(SETTLE_MS);
    await confirm(6);
    expect(ids.every((id) => stays(id) || placement.place(id) === undefined)).toBe(true);
    index.atEnd.resolve();
    await clock.pass(0);
    expect(ids.map((id) => placement.place(id))).toEqual(ids.map((id) => home(id, 6)));
  });

  test("looks for an order where the counts put it that carts place by now; it does not know before it has one", async () => {
    const { clock, placement, confirm } = setUp({ remembered: 4 });
    expect(placement.homes("ORD-1")).toBeUndefined();
    await confirm(4);
    await confirm(6);
    expect(ids.map((id) => placement.homes(id))).toEqual(ids.map((id) => [home(id, 4), home(id, 6)]));
    await clock.pass(SETTLE_MS);
    await confirm(6);
    expect(ids.map((id) => placement.homes(id))).toEqual(ids.map((id) => [home(id, 6)]));
  });

  test("waits anew when partitions are added again meanwhile", async () => {
    const { clock, index, kept, placement, confirm } = setUp({ remembered: 4 });
    await confirm(4);
    await confirm(6);
    await clock.pass(SETTLE_MS);
    index.atEnd = Promise.withResolvers();
    await confirm(6);
    await confirm(9);
    index.atEnd.resolve();
    await clock.pass(0);
    const moved = ids.filter((id) => home(id, 4) !== home(id, 9));
    expect([kept, moved.filter((id) => placement.place(id) !== undefined)]).toEqual([[], []]);
    await clock.pass(SETTLE_MS);
    await confirm(9);
    expect([kept, placement.place(moved[0] ?? "")]).toEqual([[9], home(moved[0] ?? "", 9)]);
  });

  test("is not misled by a clock that runs ahead: the settling time must really pass (I8)", async () => {
    const { clock, kept, placement, confirm } = setUp({ remembered: 4 });
    await confirm(4);
    await confirm(6);
    clock.leap(SETTLE_MS);
    await confirm(6);
    expect(kept).toEqual([]);
    await clock.pass(SETTLE_MS);
    await confirm(6);
    expect([kept, ids.map((id) => placement.place(id))]).toEqual([[6], ids.map((id) => home(id, 6))]);
  });

  test("does not trust a count that was asked for too long ago, as after a pause of the process (I8)", async () => {
    const { clock, placement, confirm } = setUp({ remembered: 4 });
    await confirm(4);
    await clock.pass(COUNT_TRUSTED_MS_MAX);
    expect(placement.place("ORD-1")).toBe(home("ORD-1", 4));
    await clock.pass(1);
    expect(placement.place("ORD-1")).toBeUndefined();
    const placed = placement.placeInTime("ORD-1", clock.now_ms() + 1_000);
    await confirm(4);
    expect(await placed).toBe(home("ORD-1", 4));
  });

  test("says at the deadline why an order cannot be placed", async () => {
    const { clock, placement, confirm } = setUp({ remembered: 4 });
    const unknown = codeOf(placement.placeInTime("ORD-1", clock.now_ms() + 500));
    await clock.pass(500);
    expect(await unknown).toBe("LOG_UNAVAILABLE");
    await confirm(4);
    await confirm(6);
    const moved = ids.find((id) => home(id, 4) !== home(id, 6)) ?? "";
    const held = codeOf(placement.placeInTime(moved, clock.now_ms() + 500));
    await clock.pass(500);
    expect(await held).toBe("CATCHING_UP");
  });

  test("promises no time while a partition is halted", async () => {
    const { clock, index, placement, confirm } = setUp();
    await confirm(4);
    index.hindrance = new AppError("PARTITION_HALTED", "halted");
    const held = codeOf(placement.placeInTime("ORD-1", clock.now_ms() + 500));
    await clock.pass(500);
    expect(await held).toBe("PARTITION_HALTED");
  });
});
