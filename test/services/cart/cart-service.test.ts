import { afterAll, describe, expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { INDEX_KIND } from "../../../src/services/cart/index/index-rows.ts";
import { CartService } from "../../../src/services/cart/service.ts";
import { systemClock } from "../../../src/system/clock.ts";
import { readConfig } from "../../../src/config/config.ts";
import { AppError } from "../../../src/errors.ts";
import { readiness } from "../../../src/http/health.ts";
import { type LeaderFault, MemoryBroker, noFaults } from "../../log/memory/memory-log.ts";
import { StateDir } from "../../../src/runtime/store/state-dir.ts";
import { createLogger } from "../../../src/telemetry/logger.ts";
import { Metrics } from "../../../src/telemetry/metrics.ts";
import { orderIn } from "../../support/carts.ts";
import { removeAllTempDirs, tempDir } from "../../support/stores/temp-dir.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { orderCreated, recordOf } from "../../support/events/orders.ts";

afterAll(() => removeAllTempDirs());

const PARTITIONS = 3;
const storeOf = (partition: number) => `orders.events.${partition}.v${INDEX_KIND.version}.sqlite`;

/** A topic in memory, with carts that are started on it one after the other and share a state directory. */
async function rig() {
  const leaders = new Map<number, LeaderFault>();
  const faults = { ...noFaults, leader: (_: string, partition: number) => leaders.get(partition) ?? "ok" };
  const broker = new MemoryBroker({ clock: systemClock, newUuid: () => crypto.randomUUID(), faults });
  const { path: dir } = await tempDir();
  const env = { DATA_DIR: dir, TOPIC_PARTITIONS: `${PARTITIONS}`, APPEND_WAIT_MS_MAX: "1000", PARTITIONS_SETTLE_MS: "60000" };
  let config = readConfig(env);
  const logged: string[] = [];
  let claims = (id: string) => StateDir.claim(dir, id, "cart", { newUuid: () => crypto.randomUUID() });
  const metrics = new Metrics("cart", () => 0);
  const start = () => {
    const cart = new CartService({
      meter: metrics,
      config,
      log: broker.connect("cart"),
      claimState: (id) => claims(id),
      logger: createLogger({ level: "info", format: "json", write: (line) => logged.push(line) }),
      clock: systemClock,
      random: Math.random,
      newUuid: () => crypto.randomUUID(),
    });
    cart.start();
    return cart;
  };
  const acceptLateStart = () => void (config = readConfig({ ...env, LOG_START: "accept" }));
  const shortenSettling = () => void (config = readConfig({ ...env, PARTITIONS_SETTLE_MS: "100" }));
  return {
    broker,
    dir,
    acceptLateStart,
    shortenSettling,
    leaders,
    logged,
    metrics,
    start,
    refuseState: (refuse: typeof claims) => void (claims = refuse),
    claims,
  };
}

const order = (partition: number, n = 0) => orderIn(partition, PARTITIONS, n);
const append = (cart: CartService, orderId: string, customerId = "C") =>
  cart.commands.create(
    { orderId, cart: { customerId, currency: "USD", items: [{ itemId: "I", quantity: 1, price_hundredths: 100 }] } },
    {},
  );
const create = (cart: CartService, orderId: string, customerId?: string): Promise<string> =>
  append(cart, orderId, customerId).then(
    () => "ok",
    (e: unknown) => (e instanceof AppError ? e.code : String(e)),
  );
const ready = (cart: CartService) =>
  waitUntil(
    () => JSON.stringify(readiness(cart.partitions)),
    () => readiness(cart.partitions).status === "ready",
  );

test("started anew while a partition has no leader, a cart serves the others, and that one when it has a leader again", async () => {
  const { leaders, start } = await rig();
  const first = start();
  await ready(first);
  expect(await Promise.all([0, 1, 2].map((partition) => create(first, order(partition))))).toEqual(["ok", "ok", "ok"]);
  await waitUntil("the creates are read", () => [...first.partitions.held()].every(({ nextOffset }) => nextOffset === 1));
  await first.stop();
  leaders.set(1, "none");
  const again = start();
  await waitUntil(
    () => JSON.stringify(readiness(again.partitions)),
    async () => (await create(again, order(0, 1))) === "ok",
  );
  // Nobody knows yet whether the partition without a leader still has what the index holds of it.
  const answers = [create(again, order(0)), create(again, order(1)), create(again, order(1, 1)), create(again, order(2, 1))];
  expect(await Promise.all(answers)).toEqual(["ORDER_EXISTS", "LOG_UNAVAILABLE", "LOG_UNAVAILABLE", "ok"]);
  leaders.clear();
  await waitUntil("the partition is served", async () => (await create(again, order(1, 2))) === "ok");
  await again.stop();
});

describe("another program's transaction that is open in a partition", () => {
  const event = (partition: number, orderId: string) =>
    recordOf(orderCreated({ orderId, eventId: crypto.randomUUID() }), { partition });

  test("does not keep a cart that is started anew from creating in the others, where it knows all that can be read", async () => {
    const { broker, start } = await rig();
    const first = start();
    await ready(first);
    expect(await create(first, order(0))).toBe("ok");
    await first.stop();
    // A program with another partitioner appends this while no cart runs.
    const stray = order(1, 7);
    await broker
      .connect("stranger")
      .producer()
      .append("orders.events", [event(0, stray)]);
    const transaction = broker.topics.openTransaction("orders.events", [event(0, order(0, 8))]);
    const again = start();
    await ready(again);
    const ids = [order(1), order(2), order(0), stray];
    expect(await Promise.all(ids.map((id) => create(again, id)))).toEqual(["ok", "ok", "ORDER_EXISTS", "ORDER_EXISTS"]);
    // The records hidden from the cart may be of any order of that partition.
    expect(await create(again, order(0, 8))).toBe("APPEND_OUTCOME_UNKNOWN");
    transaction.end(true);
    await waitUntil("it is read", async () => (await create(again, order(0, 8))) === "ORDER_EXISTS");
    expect(await create(again, order(0, 9))).toBe("ok");
    await again.stop();
  });

  test("is waited for by a cart whose index is new, as it may hide what others placed by another count", async () => {
    const { broker, start, shortenSettling } = await rig();
    await broker.connect("operator").createTopic("orders.events", PARTITIONS);
    const transaction = broker.topics.openTransaction("orders.events", [event(0, order(0))]);
    shortenSettling();
    const cart = start();
    await waitUntil("it has read what it can", () => cart.partitions.get(0)?.state === "running");
    await Bun.sleep(500);
    expect(await create(cart, order(1))).toBe("CATCHING_UP");
    transaction.end(true);
    await waitUntil("it places", async () => (await create(cart, order(1))) === "ok");
    await cart.stop();
  });
});

test("a topic of which a partition cannot be asked is not taken for new: carts may have placed there by another count", async () => {
  const { leaders, logged, start } = await rig();
  leaders.set(2, "none");
  const cart = start();
  await waitUntil("the cart waits", () => logged.some((line) => line.includes("This cart's index is new")));
  expect(await create(cart, order(0))).toBe("LOG_UNAVAILABLE");
  await cart.stop();
});

test("an index that cannot be opened: health and clients are told why", async () => {
  const { logged, start, refuseState, claims } = await rig();
  refuseState(() => {
    throw new Error("ENOSPC: no space left on device");
  });
  const cart = start();
  await waitUntil("health tells", () => readiness(cart.partitions).status === "suspended");
  expect(readiness(cart.partitions)).toMatchObject({
    status: "suspended",
    reason: expect.stringMatching(/STORE_FAILED: Its store fails: \S+: ENOSPC/),
    since: expect.any(String),
    partitions: Array(PARTITIONS).fill(expect.objectContaining({ state: "suspended", since: expect.any(String) })),
  });
  // The log itself has not failed.
  expect(cart.partitions.readFailure).toBeUndefined();
  expect(await create(cart, order(0))).toBe("PARTITION_BLOCKED");
  refuseState(claims);
  await ready(cart);
  expect(readiness(cart.partitions).reason).toBeUndefined();
  const allClear = logged.find((line) => line.includes("works again"));
  expect(allClear).toContain('"level":"info"');
  expect(allClear).not.toContain("STORE_FAILED");
  await cart.stop();
});

describe("an index of another version", () => {
  /** Each partition has records 0 and 1, all read by an index that another version of the program made. */
  async function ofAnotherVersion() {
    const given = await rig();
    const { broker, dir, start } = given;
    const cart = start();
    await ready(cart);
    for (let n = 0; n < 2 * PARTITIONS; n++) expect(await create(cart, order(n % PARTITIONS, n))).toBe("ok");
    await cart.stop();
    const directory = join(dir, "state", broker.id, "cart-0");
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const db = new Database(join(directory, storeOf(partition)));
      db.run("UPDATE store SET version = 99");
      db.close();
    }
    const path = join(directory, storeOf(1));
    const setAside = () => readdirSync(directory).filter((name) => /sqlite\.set-aside-\d+$/.test(name)).length;
    const loseFirst = (partition: number) => broker.connect("operator").deleteRecords("orders.events", partition, 1);
    return { ...given, path, setAside, loseFirst };
  }
  const standing = (cart: CartService) => readiness(cart.partitions).partitions.map(({ state, halted }) => ({ state, halted }));

  test("is left where it is if the log cannot rebuild it, and set aside where that is accepted; others are rebuilt", async () => {
    const { start, acceptLateStart, path, setAside, loseFirst } = await ofAnotherVersion();
    await loseFirst(1);
    const second = start();
    await waitUntil("partition 1 halts", () => second.partitions.get(1)?.state === "halted");
    await waitUntil("the others run", () => [0, 2].every((n) => second.partitions.get(n)?.nextOffset === 2));
    expect(standing(second)[1]?.halted).toContain(`${path} cannot be used (its version is 99, not `);
    expect(await create(second, order(1))).toBe("PARTITION_HALTED");
    expect(await create(second, order(0, 0))).toBe("ORDER_EXISTS");
    await second.stop();
    expect(setAside()).toBe(2);
    acceptLateStart();
    const third = start();
    await waitUntil("it is rebuilt", () => third.partitions.get(1)?.nextOffset === 2);
    expect(third.partitions.get(1)?.startedAt).toBe(1);
    await third.stop();
    expect(setAside()).toBe(3);
  });
});

test("a cart whose index is damaged reads it anew, and need not wait to place creates, as it knows by which count it did", async () => {
  const { start, logged, metrics, broker, dir } = await rig();
  const first = start();
  metrics.watch(() => first.partitions);
  await ready(first);
  for (let partition = 0; partition < PARTITIONS; partition++) expect(await create(first, order(partition))).toBe("ok");
  await first.stop();
  const path = join(dir, "state", broker.id, "cart-0", storeOf(1));
  writeFileSync(path, "not a database");
  const again = start();
  await waitUntil("it creates", async () => (await create(again, order(1, 1))) === "ok");
  expect(await create(again, order(1))).toBe("ORDER_EXISTS");
  await again.stop();
  expect(logged.filter((line) => line.includes("was set aside"))).toEqual([expect.stringContaining(path)]);
  expect(logged.filter((line) => line.includes("creates wait"))).toEqual([]);
  expect([...(await metrics.text()).matchAll(/^orders_stores_set_aside_total.*$/gm)].map(([line]) => line)).toEqual(
    [0, 1, 0].map((times, partition) => `orders_stores_set_aside_total{partition="${partition}",component="cart"} ${times}`),
  );
});

test("what the log refuses is told to people, and health shows it", async () => {
  const { logged, start } = await rig();
  const cart = start();
  await ready(cart);
  expect(readiness(cart.partitions, cart.refusal)).not.toHaveProperty("refusal");
  expect(await create(cart, order(0), "x".repeat(1_100_000))).toBe("EVENT_TOO_LARGE");
  expect(readiness(cart.partitions, cart.refusal)).toMatchObject({ status: "ready", refusal: expect.stringContaining("bytes") });
  expect(logged.filter((line) => line.includes("The log does not take events. EVENT_TOO_LARGE"))).toHaveLength(1);
  await cart.stop();
});
