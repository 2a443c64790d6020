import { expect, test } from "bun:test";
import { existsSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import pino from "pino";
import { readConfig } from "../../src/config/config.ts";
import { readiness } from "../../src/http/health.ts";
import { GONE_LOOKS_APART_MS } from "../../src/runtime/gone-stores.ts";
import { StateDir } from "../../src/runtime/store/state-dir.ts";
import { CartService } from "../../src/services/cart/service.ts";
import { OrderService } from "../../src/services/orders/service.ts";
import type { ServiceOptions } from "../../src/services/service-options.ts";
import { systemClock } from "../../src/system/clock.ts";
import { MemoryBroker } from "../log/memory/memory-log.ts";
import { loneFleet } from "../support/fleets/lone-fleet.ts";
import { orderCreated, recordOf } from "../support/events/orders.ts";
import { tempDir } from "../support/stores/temp-dir.ts";
import { waitUntil } from "../support/wait-until.ts";

const config = readConfig({ TOPIC_PARTITIONS: "2" });
const newUuid = () => crypto.randomUUID();

const services = [
  [
    "an order service",
    "",
    (options: ServiceOptions) => new OrderService({ ...options, fleet: loneFleet(), endpoint: () => undefined }),
  ],
  ["a cart", "Index of orders: ", (options: ServiceOptions) => new CartService({ ...options, newUuid })],
] as const;

/** A service that has read both partitions into stores in a directory; `lines` has what it logs from `info` on. */
async function running(make: (options: ServiceOptions) => CartService | OrderService) {
  const dir = await tempDir();
  const log = new MemoryBroker({ clock: systemClock, newUuid }).connect("test");
  await log.createTopic(config.orders_topic, 2);
  await log.producer().append(config.orders_topic, [recordOf(orderCreated(), { partition: 1 })]);
  const lines: (readonly [level: number, message: string])[] = [];
  const write = (line: string) => {
    const { level, msg } = JSON.parse(line) as { level: number; msg: string };
    lines.push([level, msg]);
  };
  const service = make({
    config,
    log,
    claimState: (logId) => StateDir.claim(dir.path, logId, "test", { newUuid }),
    logger: pino({ level: "info" }, { write }),
    clock: { ...systemClock, now_ms: () => systemClock.now_ms() * 20, sleep: (ms, signal) => systemClock.sleep(ms / 20, signal) },
    random: () => 0.5,
  });
  service.start();
  await waitUntil("both are read", () => service.partitions.held().filter(({ state }) => state === "running").length === 2);
  const told = () => lines.filter(([, message]) => message.includes("Finding the files of the open stores"));
  return {
    dir: dir.path,
    service,
    lines,
    told,
    [Symbol.asyncDispose]: async () => {
      await service.stop();
      await log.close();
      await dir[Symbol.asyncDispose]();
    },
  };
}

const ERROR = 50;
const INFO = 30;

test.each(services)("%s tells that its data directory was deleted, and at its stop what that costs", async (_, prefix, make) => {
  await using rig = await running(make);
  await rm(join(rig.dir, "state"), { recursive: true });
  await waitUntil("it is told", () => rig.told().length > 0);
  const [level, message] = rig.told()[0]!;
  expect(level).toBe(ERROR);
  expect(message).toStartWith(`${prefix}STORE_FAILED: Finding the files of the open stores fails`);
  expect(message).toMatch(/\.sqlite and 1 more were removed or replaced\. .* only as long as this process/);
  expect(readiness(rig.service.partitions).warnings).toEqual([
    expect.objectContaining({ code: "stores-gone", since: expect.any(String) }),
  ]);
  await rig.service.stop();
  expect(rig.lines.at(-1)).toEqual([ERROR, expect.stringContaining("what was applied in its stores is lost with it")]);
});

test.each(services)("%s that is stopped a moment after the deletion tells it, too", async (_, prefix, make) => {
  await using rig = await running(make);
  await rm(join(rig.dir, "state"), { recursive: true });
  await rig.service.stop();
  expect(rig.lines.at(-1)).toEqual([ERROR, expect.stringContaining(`${prefix}STORE_FAILED: This process stops`)]);
});

test.each(services)("%s takes no other file of that name for its store's", async (_, __, make) => {
  await using rig = await running(make);
  const [store] = readdirSync(rig.dir, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".sqlite"));
  const path = join(rig.dir, store!);
  renameSync(path, `${path}.away`);
  writeFileSync(path, "");
  await waitUntil("it is told", () => rig.told().length > 0);
  expect(rig.told()[0]![1]).toContain(`${path} was removed or replaced`);
});

test.each(services)("%s whose directory is put back tells that this is over, and stops as ever", async (_, __, make) => {
  await using rig = await running(make);
  const state = join(rig.dir, "state");
  renameSync(state, `${state}.away`);
  await waitUntil("it is told", () => rig.told().length > 0);
  renameSync(`${state}.away`, state);
  await waitUntil("it is over", () => rig.told().some(([level]) => level === INFO));
  expect(readiness(rig.service.partitions).warnings).toBeUndefined();
  await rig.service.stop();
  expect(rig.lines.filter(([, message]) => message.includes("This process stops"))).toEqual([]);
});

test.each(services)("%s whose stores are where they were tells nothing of them", async (_, __, make) => {
  await using rig = await running(make);
  await systemClock.sleep((3 * GONE_LOOKS_APART_MS) / 20);
  expect(existsSync(join(rig.dir, "state"))).toBe(true);
  await rig.service.stop();
  expect(rig.lines.filter(([level]) => level === ERROR)).toEqual([]);
});
