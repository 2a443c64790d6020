import { expect, test } from "bun:test";
import { AssignerProtocol } from "kafkajs";
import type { Exchange } from "../../../../src/log/kafka/connection/cluster.ts";
import type { Connections } from "../../../../src/log/kafka/connection/connections.ts";
import { type Clock, systemClock } from "../../../../src/system/clock.ts";
import { waitUntil } from "../../../support/wait-until.ts";
import { madeMembership } from "./made-membership.ts";

const JOIN_GROUP = 11;
const SYNC_GROUP = 14;
const HOUR_MS = 3_600_000;
const DOWN = "connect ECONNREFUSED 10.0.0.1:9092";

const SHARE = AssignerProtocol.MemberAssignment.encode({ version: 0, assignment: { t: [0] }, userData: Buffer.alloc(0) });

test("after a process stood still, why the group cannot be joined is told of the latest failure", async () => {
  let now_ms = 0;
  let stands_ms = 0;
  let isDown = false;
  const clock: Clock = {
    ...systemClock,
    now_ms: () => now_ms,
    wall_ms: () => now_ms,
    sleep: async (ms) => {
      await systemClock.sleep(1);
      now_ms += ms + stands_ms;
      stands_ms = 0;
    },
  };
  const requireUp = (): void => {
    if (isDown) throw new Error(DOWN);
  };
  const node = {
    nodeId: 1,
    version: async () => 5,
    broker: async () => ({ findGroupCoordinator: async () => ({ coordinator: { nodeId: 1 } }) }),
    send: async ({ request }: Exchange<unknown>) => {
      requireUp();
      const { apiKey } = request as unknown as { readonly apiKey: number };
      if (apiKey === JOIN_GROUP) return { generationId: 1, leaderId: "m", memberId: "n", members: [] };
      return apiKey === SYNC_GROUP ? { memberAssignment: SHARE } : {};
    },
  };
  const connections = {
    any: async (ask: (one: unknown) => unknown) => {
      requireUp();
      return ask(node);
    },
    nodeAt: async () => node,
    close: () => undefined,
    reach: { tryAll: async () => undefined, unreachable: () => "", withUnreachable: (why: string) => why },
  } as unknown as Connections;
  const lost: string[] = [];
  const membership = madeMembership(connections, clock, lost);
  membership.start();
  await waitUntil("it is in the group", () => membership.state === "stable");
  // A laptop sleeps for an hour, and comes back without its network.
  isDown = true;
  stands_ms = HOUR_MS;
  await waitUntil("it tries again for long", () => now_ms > HOUR_MS + 30_000);
  expect(lost).toEqual([expect.stringContaining("This process stood still for 3600 s")]);
  expect(membership.reason).toContain(DOWN);
  await membership.leave();
});
