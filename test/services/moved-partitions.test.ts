import { expect, test } from "bun:test";
import { readdirSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { readConfig } from "../../src/config/config.ts";
import type { Assignment, GroupListener, Membership } from "../../src/log/membership.ts";
import { LOOKS_APART_MS } from "../../src/runtime/moved-stores.ts";
import { StateDir } from "../../src/runtime/store/state-dir.ts";
import { CartService } from "../../src/services/cart/service.ts";
import { OrderService } from "../../src/services/orders/service.ts";
import type { ServiceOptions } from "../../src/services/service-options.ts";
import { systemClock } from "../../src/system/clock.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { MemoryBroker } from "../log/memory/memory-log.ts";
import { loneFleet } from "../support/fleets/lone-fleet.ts";
import { orderCreated, recordOf } from "../support/events/orders.ts";
import { tempDir } from "../support/stores/temp-dir.ts";
import { waitUntil } from "../support/wait-until.ts";

const config = readConfig({ TOPIC_PARTITIONS: "2", OLD_STORES_KEPT_MS: "60000" });
const topic = config.orders_topic;
const fleet = loneFleet();
const endpoint = () => undefined;
const newUuid = () => crypto.randomUUID();

const assigned = (...partitions: number[]): Assignment => ({ partitions, standbys: [], memberId: "a", members: [] });

test.each([
  ["an order service", (options: ServiceOptions) => new OrderService({ ...options, fleet, endpoint })],
  [
    "a cart",
    (options: ServiceOptions) =>
      new CartService({ ...options, newUuid, sharing: { group: "carts", fleet, endpoint, replicas: 1 } }),
  ],
])("%s deletes the store of a partition once its group has gone on with it for hours", async (_, make) => {
  await using dir = await tempDir();
  let [passed_ms, others] = [0, 1];
  let listener: GroupListener | undefined;
  const clock = {
    ...systemClock,
    now_ms: () => systemClock.now_ms() + passed_ms,
    sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(ms / 50, signal),
  };
  const log = new MemoryBroker({ clock: systemClock, newUuid }).connect("test");
  const membership: Membership = {
    state: "stable",
    isOwner: () => true,
    commit: async () => undefined,
    committed: async (partitions) => new Map(partitions.map((partition) => [partition, { nextOffset: others }])),
    rejoin: () => undefined,
    leave: async () => undefined,
  };
  log.joinGroup = (options) => {
    // As an adapter does, it asks for what is here before it joins, which claims the state.
    options.localPositions();
    ({ listener } = options);
    return membership;
  };
  await log.createTopic(topic, 2);
  await log.producer().append(topic, [recordOf(orderCreated(), { partition: 1 })]);
  let directory = "";
  const service = make({
    config,
    log,
    claimState: (logId) => {
      directory = join(dir.path, "state", logId, "test-0");
      return StateDir.claim(dir.path, logId, "test", { newUuid });
    },
    logger: createLogger({ level: "silent", format: "json" }),
    clock,
    random: () => 0.5,
  });
  service.start();
  await waitUntil("the group is joined", () => listener !== undefined);
  listener?.onAssigned(assigned(0, 1));
  const { actors } = service.partitions;
  await waitUntil("partition 1 is read", () => actors.get(1)?.nextOffset === 1 && actors.get(0)?.state === "running");
  const actor = actors.get(1);
  listener?.onAssigned(assigned(0));
  await waitUntil("partition 1 has moved away", () => actor?.state === "stopped");
  for (const name of readdirSync(directory)) utimesSync(join(directory, name), 1_000, 1_000);
  const left = () => [0, 1].filter((n) => readdirSync(directory).some((name) => name.startsWith(`${topic}.${n}.`)));
  await waitUntil("its store is deleted", async () => {
    await log.producer().append(topic, [recordOf(orderCreated({ orderId: `ORD-1${++others}` }), { partition: 1 })]);
    passed_ms += LOOKS_APART_MS;
    await systemClock.sleep(100);
    return left().length === 1;
  });
  expect(left()).toEqual([0]);
  await service.stop();
  await log.close();
});
