import { expect, test } from "bun:test";
import type { Clock } from "../../../../src/system/clock.ts";
import type { Connections } from "../../../../src/log/kafka/connection/connections.ts";
import { madeMembership } from "./made-membership.ts";

/**
 * What the listener is told within `passing_ms` of a time that passes at once, while every join fails with an
 * error of this type.
 */
async function toldWithin(passing_ms: number, type: string): Promise<string[]> {
  const told: string[] = [];
  const passed = Promise.withResolvers<void>();
  let now_ms = 0;
  const clock: Clock = {
    now_ms: () => now_ms,
    wall_ms: () => now_ms,
    yield: () => Promise.resolve(),
    sleep: async (ms) => {
      now_ms += ms;
      if (now_ms < passing_ms) return;
      passed.resolve();
      await Promise.withResolvers<void>().promise;
    },
  };
  const refusal = Object.assign(new Error(`refused by ${type}`), { type });
  const away = "broker 2 at b:1, broker 3 at c:1";
  const reach = { tryAll: () => Promise.resolve(), unreachable: () => away, withUnreachable: (cause: string) => cause };
  const connections = { any: () => Promise.reject(refusal), close: () => undefined, reach } as unknown as Connections;
  const membership = madeMembership(connections, clock, told);
  membership.start();
  await passed.promise;
  expect(membership.state).toBe("joining");
  expect(membership.reason).toBe(told[0]);
  return told;
}

const told = (type: string) => [expect.stringContaining(type)];

test("a join that is refused is told at once, and once", async () => {
  expect(await toldWithin(100, "GROUP_AUTHORIZATION_FAILED")).toEqual(told("GROUP_AUTHORIZATION_FAILED"));
  expect(await toldWithin(60_000, "GROUP_AUTHORIZATION_FAILED")).toEqual(told("GROUP_AUTHORIZATION_FAILED"));
});

test.each(["REBALANCE_IN_PROGRESS", "GROUP_LOAD_IN_PROGRESS", "GROUP_COORDINATOR_NOT_AVAILABLE", "NOT_COORDINATOR_FOR_GROUP"])(
  "a group that is only settling (%s) is told once that lasts",
  async (type) => {
    expect(await toldWithin(4_000, type)).toEqual([]);
    expect(await toldWithin(60_000, type)).toEqual(told(type));
  },
);

test("a coordinator that is missing while brokers are away is told with their names, and no advice about replicas", async () => {
  const [reason = ""] = await toldWithin(60_000, "GROUP_COORDINATOR_NOT_AVAILABLE");
  expect(reason).toContain("broker 2 at b:1, broker 3 at c:1");
  expect(reason).not.toContain("replication.factor");
});
