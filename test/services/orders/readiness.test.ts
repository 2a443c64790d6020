import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { fakeOrderService, partition } from "./fake-order-service.ts";

const { ask, fake, hold, stop, url } = await fakeOrderService();
afterAll(stop);
beforeEach(() => void hold([partition(0), partition(1)]));

describe("/health/ready", () => {
  const ready = async () => {
    const response = await ask(`${url}/health/ready`);
    return [response.status, await response.json()];
  };

  test("503 with the gravest of the states that partitions are in", async () => {
    const list = [
      partition(0, [], { state: "suspended", hindered: "It is locked." }),
      partition(1, [], { state: "blocked", hindered: "It has no right." }),
      partition(2, [], { state: "halted", halted: "Do this." }),
      partition(3, [], { hindered: "It has no leader." }),
    ];
    hold(list);
    expect(await ready()).toEqual([503, expect.objectContaining({ status: "halted", reason: "Partition 2: Do this." })]);
    hold(list.filter(({ state }) => state !== "halted"));
    expect(await ready()).toEqual([503, expect.objectContaining({ status: "blocked" })]);
    hold(list.slice(0, 1));
    expect(await ready()).toEqual([503, expect.objectContaining({ status: "suspended" })]);
    expect((await ask(`${url}/health/live`)).status).toBe(200);
    hold([partition(0), ...list.slice(3)]);
    expect(await ready()).toEqual([200, expect.objectContaining({ status: "ready", reason: "Partition 3: It has no leader." })]);
  });

  test("200 where only a followed partition is halted, which is said", async () => {
    hold([partition(0)]);
    fake.standbys = () => [partition(3, [], { state: "halted", halted: "Do this." })];
    const reason = "Partition 3, which is followed here: Do this.";
    expect(await ready()).toEqual([200, expect.objectContaining({ status: "ready", reason })]);
    delete (fake as { standbys?: unknown }).standbys;
  });

  test("503 while the only partition catches up, though something hinders it", async () => {
    hold([partition(0, [], { state: "catching-up", hindered: "It has no leader." })]);
    expect(await ready()).toEqual([503, expect.objectContaining({ status: "catching-up" })]);
  });

  test("503 while one of two partitions catches up", async () => {
    hold([partition(0), partition(1, [], { state: "catching-up" })]);
    expect(await ready()).toEqual([503, expect.objectContaining({ status: "catching-up" })]);
  });

  test("200 where all held partitions run", async () => {
    hold([partition(0, [], { nextOffset: 7 })], 2);
    expect(await ready()).toEqual([
      200,
      { status: "ready", log: "in memory", partitions: [{ partition: 0, state: "running", offset: 7, end: 10, lag: 3 }] },
    ]);
  });

  test("200 where none is assigned", async () => {
    hold([], 2);
    expect(await ready()).toEqual([200, { status: "ready", log: "in memory", partitions: [] }]);
  });

  test("503 with the reason while the log cannot be read, whatever else there is to say", async () => {
    hold([partition(0)]);
    fake.readFailure = "Reading fails: grant READ.";
    expect(await ready()).toMatchObject([503, { status: "unreadable", reason: fake.readFailure }]);
    fake.membership = "joining";
    expect(await ready()).toMatchObject([503, { status: "joining", reason: fake.readFailure }]);
  });

  test("503 while joining", async () => {
    hold([partition(0)], 2, "joining");
    expect(await ready()).toMatchObject([503, { status: "joining" }]);
  });

  test("503 before the topic is known", async () => {
    hold([], 0);
    expect(await ready()).toMatchObject([503, { status: "catching-up" }]);
  });

  test("503 while the first of two partitions catches up", async () => {
    hold([partition(0, [], { state: "catching-up" }), partition(1)]);
    expect(await ready()).toMatchObject([503, { status: "catching-up" }]);
  });

  test("503 where a partition is halted, with what to do", async () => {
    hold([partition(0, [], { state: "halted", halted: "Do this." }), partition(1)]);
    expect(await ready()).toMatchObject([503, { status: "halted", partitions: [{ halted: "Do this." }, {}] }]);
  });
});
