import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import { AppError } from "../../../../src/errors.ts";
import type { StableEnd, TopicEnds } from "../../../../src/log/port.ts";
import { NEWEST_WAIT_MS_MAX } from "../../../../src/services/orders/query/newest-records.ts";
import { anOrder } from "../../../support/events/orders.ts";
import { expectProblem } from "../../../support/http/problems.ts";
import { type FakePartition, fakeOrderService, partition, viewOf } from "../fake-order-service.ts";

const { details, hold, log, stop } = await fakeOrderService();
afterAll(stop);
beforeEach(() => void hold([partition(0), partition(1)]));

describe("before a 404 the log is asked where it ends", () => {
  const told = log.ends;
  const ends = (endOffset: number, more: Partial<StableEnd> = {}) => {
    log.ends = () =>
      Promise.resolve({
        topicId: undefined,
        partitions: [0, 1].map(() => ({ startOffset: 0, endOffset, stableOffset: endOffset, leaderEpoch: 0, ...more })),
      });
  };
  afterEach(() => void (log.ends = told));

  test.each([0, 1])("what it has more in partition %d is applied first", async (home) => {
    ends(12);
    const reached: FakePartition["reached"] = function (this: FakePartition, offset) {
      return Promise.resolve(
        Object.assign(this, { nextOffset: offset, view: viewOf(this.partition === home ? [anOrder()] : []) }),
      ).then(() => true);
    };
    hold([partition(0, [], { reached }), partition(1, [], { reached })]);
    expect((await details("1")).status).toBe(200);
  });

  test("what it applies meanwhile is answered at once, also while the log does not tell", async () => {
    const late = Promise.withResolvers<TopicEnds>();
    log.ends = () => late.promise;
    const reached: FakePartition["reached"] = function (this: FakePartition, offset) {
      Object.assign(this, { nextOffset: offset, view: viewOf(offset < 13 ? [] : [anOrder()]) });
      return Promise.resolve(true);
    };
    hold([partition(0), partition(1, [], { reached })]);
    const began_ms = performance.now();
    expect((await details("1")).status).toBe(200);
    expect(performance.now() - began_ms).toBeLessThan(NEWEST_WAIT_MS_MAX / 2);
    late.resolve(await told());
  });

  test("503 where a transaction that is not known of yet hides what another partition has more, which is not searched", async () => {
    log.ends = () =>
      Promise.resolve({
        topicId: undefined,
        partitions: [12, 10].map((endOffset) => ({ startOffset: 0, endOffset, stableOffset: 10, leaderEpoch: 0 })),
      });
    hold([partition(0), partition(1)]);
    expect((await expectProblem(await details("1"), "LOG_UNAVAILABLE")).detail).toContain("records from offset 10 on");
  });

  test("503 where that is not applied in time", async () => {
    ends(12);
    expect(await expectProblem(await details("1"), "CATCHING_UP")).toMatchObject({
      detail: expect.stringContaining("the next offset that it applies is 10"),
    });
  });

  test.each(["suspended", "blocked"] as const)("503 where it has more in another partition, which is %s", async (state) => {
    ends(12);
    const applies: FakePartition["reached"] = function (this: FakePartition, offset) {
      return Promise.resolve(Object.assign(this, { nextOffset: offset })).then(() => true);
    };
    const waits = partition(0, [], { state, hindered: "It waits.", isComplete: true });
    hold([waits, partition(1, [], { reached: applies })]);
    await expectProblem(await details("1"), "PARTITION_BLOCKED");
  });

  test("503 where another program's open transaction hides it", async () => {
    ends(12, { stableOffset: 10 });
    expect(await expectProblem(await details("1"), "LOG_UNAVAILABLE")).toMatchObject({
      detail: expect.stringContaining("from offset 10 on that cannot be read yet"),
    });
  });

  test("503 where a newer leader tells the end than the one whose records are applied", async () => {
    ends(10, { leaderEpoch: 1 });
    await expectProblem(await details("1"), "CATCHING_UP");
  });

  test("503 where it does not tell", async () => {
    const asked = Promise.withResolvers<TopicEnds>();
    log.ends = () => asked.promise;
    expect(await expectProblem(await details("1"), "LOG_UNAVAILABLE")).toMatchObject({
      detail: expect.stringContaining("The log did not tell its end in time"),
    });
    asked.reject(new AppError("LOG_UNAVAILABLE", "No broker answers."));
  });

  test("503 where it refuses", async () => {
    log.ends = () => Promise.reject(new AppError("LOG_UNAVAILABLE", "No broker answers."));
    expect(await expectProblem(await details("1"), "LOG_UNAVAILABLE")).toMatchObject({
      detail: expect.stringContaining("No broker answers."),
    });
  });
});
