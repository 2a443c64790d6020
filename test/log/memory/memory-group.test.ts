import { expect, test } from "bun:test";
import type { GroupOptions } from "../../../src/log/membership.ts";
import { systemClock } from "../../../src/system/clock.ts";
import { eventually } from "../contract/harness.ts";
import { MemoryBroker } from "./memory-log.ts";

const SESSION_MS = 400;

async function group() {
  const broker = new MemoryBroker({ clock: systemClock, newUuid: () => crypto.randomUUID(), session_ms: SESSION_MS });
  await broker.connect("setup").createTopic("orders", 4);
  const start = (id: string, more: Partial<GroupOptions> = {}) => {
    let current = id;
    const calls: string[] = [];
    const log = broker.connect(`process-${id}`);
    const membership = log.joinGroup({
      group: "readers",
      topic: "orders",
      localPositions: () => new Map(),
      instance: { id: () => current, renew: () => void (current = `${id}-renewed`) },
      leaving: "auto",
      listener: {
        onAssigned: ({ partitions, memberId }) => calls.push(`${memberId} has ${partitions.join(",")}`),
        onLost: (reason) => calls.push(`lost: ${reason}`),
        onWaiting: () => calls.push("waiting"),
      },
      ...more,
    });
    return { log, membership, calls };
  };
  return start;
}

test("a member that restarts within its session has what it had, and the others are told nothing", async () => {
  const start = await group();
  const [a, b] = [start("a"), start("b")];
  await eventually("both to share", () => a.calls.at(-1) === "a has 0,2" && b.calls.at(-1) === "b has 1,3");
  const told = b.calls.length;
  await a.membership.leave();
  a.log.crash();
  const again = start("a");
  await eventually("it to have its own", () => again.calls.length > 0);
  await Bun.sleep(SESSION_MS);
  expect([again.calls, b.calls.length]).toEqual([["a has 0,2"], told]);
  await Promise.all([again, b].map(({ membership }) => membership.leave()));
});

test("one that does not come back is missed when its session ends", async () => {
  const start = await group();
  const [a, b] = [start("a"), start("b")];
  await eventually("both to share", () => b.calls.at(-1) === "b has 1,3");
  const left_ms = performance.now();
  await a.membership.leave();
  await eventually("the other one to have all", () => b.calls.at(-1) === "b has 0,1,2,3");
  expect(performance.now() - left_ms).toBeGreaterThan(SESSION_MS / 2);
  await b.membership.leave();
});

test("one that was replaced by a copy of its state goes on under another id", async () => {
  const start = await group();
  const a = start("a");
  await eventually("it to have all", () => a.calls.length === 1);
  const copy = start("a");
  await eventually("both to share", () => a.calls.at(-1) === "a-renewed has 1,3" && copy.calls.at(-1) === "a has 0,2");
  expect(a.calls).toContain("lost: another process has the instance id");
  await Bun.sleep(SESSION_MS);
  expect(copy.calls.filter((call) => call.startsWith("lost"))).toEqual([]);
  await Promise.all([a, copy].map(({ membership }) => membership.leave()));
});
