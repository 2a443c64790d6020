import { expect, test } from "bun:test";
import { AppError } from "../../../../src/errors.ts";
import { Fleet } from "../../../../src/fleet/fleet.ts";
import type { HeldPartitions, PartitionView } from "../../../../src/runtime/held-partitions.ts";
import { answeredByOwner } from "../../../../src/services/orders/hops/passed-on.ts";
import { systemClock } from "../../../../src/system/clock.ts";
import { createLogger } from "../../../../src/telemetry/logger.ts";

test("a partition that is taken away while it is looked at is asked of its new owner", async () => {
  const asked: string[] = [];
  const fleet = new Fleet({
    secret: "s".repeat(32),
    topic: "orders",
    session_timeout_ms: 10_000,
    transport: async ({ url }) => {
      asked.push(url);
      return { status: 200, headers: new Headers({ "content-type": "application/json" }), text: '{"partition":3}' };
    },
    clock: systemClock,
    logger: createLogger({ level: "silent", format: "json" }),
  });
  fleet.begin("log-1");
  const member = (id: string, partitions: readonly number[]) => ({ id, endpoint: `http://${id}`, partitions, standbys: [] });
  const members = [member("me", []), member("peer", [3])];
  fleet.assigned({ memberId: "me", partitions: [], standbys: [], members });
  let isHeld = true;
  const partitions = {
    partitionCount: 4,
    get: (partition: number) => (isHeld ? ({ partition } as PartitionView) : undefined),
  } as unknown as HeldPartitions;
  const here = (): Response => {
    isHeld = false;
    throw new AppError("PARTITION_ELSEWHERE", "Partition 3 is not held here.", { partition: 3 });
  };
  const answer = await answeredByOwner(3, { path: "/partitions/3/orders" }, here, { partitions, fleet, clock: systemClock });
  expect([answer.status, await answer.text(), asked]).toEqual([
    200,
    '{"partition":3}',
    ["http://peer/fleet/partitions/3/orders"],
  ]);
});
