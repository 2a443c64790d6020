import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { clientShare } from "../../../../src/http/permits.ts";
import { anOrder } from "../../../support/events/orders.ts";
import { expectProblem } from "../../../support/http/problems.ts";
import { waitUntil } from "../../../support/wait-until.ts";
import { type FakePartition, fakeOrderService, partition, viewOf } from "../fake-order-service.ts";

const { ask, details, hold, inFlight, stop, url } = await fakeOrderService();

afterAll(stop);
beforeEach(() => void hold([partition(0), partition(1)]));

/** A wait that also ends when whoever waits leaves. */
const leftBy =
  (wait: () => Promise<boolean>): FakePartition["reached"] =>
  (_offset, _wait_ms_max, leaving) =>
    Promise.race([wait(), new Promise<boolean>((resolve) => leaving?.addEventListener("abort", () => resolve(false)))]);

describe("Log-Position", () => {
  test("waits until the record at the offset is applied", async () => {
    let apply = () => {};
    const applied = new Promise<void>((resolve) => (apply = resolve));
    const held = partition(1, [], {
      reached(offset, wait_ms_max) {
        this.waits?.push([offset, wait_ms_max]);
        return applied.then(() => true);
      },
    });
    hold([partition(0), held]);
    let answered = false;
    const response = details("1", "1:10").finally(() => (answered = true));
    await Bun.sleep(30);
    expect(answered).toBe(false);
    expect(held.waits).toEqual([[11, 1_234]]);
    held.view = viewOf([anOrder()]);
    apply();
    expect((await response).status).toBe(200);
  });

  test("goes on waiting where the partition gets another store meanwhile", async () => {
    const restored = partition(1, [], {
      reached: () => Promise.resolve(true),
      nextOffset: 4,
      view: viewOf([anOrder()]),
    });
    const damaged = partition(1, [], {
      reached() {
        hold([partition(0), restored]);
        return Promise.resolve(false);
      },
    });
    hold([partition(0), damaged]);
    expect((await details("1", "1:10")).status).toBe(200);
  });

  test("does not wait for what is applied", async () => {
    const held = partition(1, [anOrder()]);
    hold([partition(0), held]);
    expect((await details("1", "1:9")).status).toBe(200);
    expect(held.waits).toBeEmpty();
  });

  test("waits of one client leave room: beyond its share they are refused at once, and reads that need not wait are answered", async () => {
    let apply = () => {};
    const applied = new Promise<void>((resolve) => (apply = resolve));
    hold([partition(0), partition(1, [anOrder()], { reached: () => applied.then(() => true) })]);
    const own_max = clientShare(inFlight.waiting.permits_max);
    const waiting = Array.from({ length: own_max }, () => details("1", "1:10"));
    await waitUntil("for the waits to begin", () => inFlight.requests === own_max);
    expect((await expectProblem(await details("1", "1:10"), "OVERLOADED")).detail).toContain("Log-Position");
    expect([(await details("1")).status, (await details("1", "1:9")).status]).toEqual([200, 200]);
    apply();
    for (const response of await Promise.all(waiting)) expect(response.status).toBe(200);
    expect((await details("1", "1:10")).status).toBe(200);
  });

  test.each(["1:10", undefined])("a client that hangs up waits no longer, and leaves its room (%s)", async (position) => {
    const forever = () => new Promise<boolean>(() => undefined);
    hold([partition(0), partition(1, [], { endOffset: 12, reached: leftBy(forever) })]);
    const own_max = clientShare(inFlight.waiting.permits_max);
    const hangUp = new AbortController();
    const init = { signal: hangUp.signal, ...(position === undefined ? {} : { headers: { "log-position": position } }) };
    const waiting = Array.from({ length: own_max }, () => ask(`${url}/order-details?orderId=1`, init).catch(() => "gone"));
    await waitUntil("for the waits to begin", () => inFlight.waiting.held === own_max);
    hangUp.abort();
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(["gone"]));
    await waitUntil("for the room", () => inFlight.waiting.held === 0, { wait_ms_max: 400 });
  });

  test("503 past the bound, also for an order that is known", async () => {
    hold([partition(0), partition(1, [anOrder()])]);
    expect(await expectProblem(await details("1", "1:10"), "POSITION_NOT_REACHED")).toMatchObject({
      partition: 1,
      offset: 10,
      nextOffset: 10,
    });
  });

  test.each([
    [10, "Partition 1 has not applied offset 10 yet: as far as is known here the log has nothing there; ask again."],
    [30, "Partition 1 has not applied offset 10 yet: the next offset that it applies is 9; ask again."],
  ])("503 says whether the log has the event, where it ends at %d", async (endOffset, detail) => {
    hold([partition(0), partition(1, [], { nextOffset: 9, endOffset })]);
    expect((await expectProblem(await details("1", "1:10"), "POSITION_NOT_REACHED")).detail).toBe(detail);
  });

  test("421 for a partition that is elsewhere", async () => {
    hold([partition(1)], 2);
    expect(await expectProblem(await details("1", "0:1"), "PARTITION_ELSEWHERE")).toMatchObject({ partition: 0 });
  });

  test("421 for a partition that is taken away meanwhile", async () => {
    hold([partition(0, [], { reached: () => (hold([partition(1)], 2), Promise.resolve(false)) }), partition(1)]);
    expect(await expectProblem(await details("1", "0:10"), "PARTITION_ELSEWHERE")).toMatchObject({ partition: 0 });
  });

  test("503 for a partition that is halted", async () => {
    hold([partition(0), partition(1, [], { state: "halted", halted: "Do this." })]);
    await expectProblem(await details("1", "1:10"), "PARTITION_HALTED");
  });

  test("503 for a partition that is not known yet", async () => {
    await expectProblem(await details("1", "2:0"), "POSITION_NOT_REACHED");
  });

  test.each(["", "1", "1:", ":1", "a:b", "1:-1", "1:1.5", "1:9007199254740991", "1:2:3", "1:1, 1:2"])(
    "400 for %j",
    async (header) => {
      await expectProblem(await details("1", header), "LOG_POSITION_INVALID");
    },
  );
});
