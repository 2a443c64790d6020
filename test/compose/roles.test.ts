import { expect, test } from "bun:test";
import pino from "pino";
import { cartRole } from "../../src/compose/cart.ts";
import { orderServiceRole } from "../../src/compose/order-service.ts";
import { noTransport } from "../../src/compose/peers.ts";
import type { Role } from "../../src/compose/role.ts";
import { readConfig } from "../../src/config/config.ts";
import { systemClock } from "../../src/system/clock.ts";
import { MemoryBroker } from "../log/memory/memory-log.ts";
import { Disk } from "../simulation/memory-state.ts";
import { waitUntil } from "../support/wait-until.ts";

/** Both roles on one log in memory, and how often they waited or claimed a state. */
function roles({ env = {}, isCartAlone = true } = {}) {
  const newUuid = () => crypto.randomUUID();
  const broker = new MemoryBroker({ clock: systemClock, newUuid });
  const begun = { waits: 0, claims: 0 };
  const clock = {
    ...systemClock,
    sleep: (ms: number, signal?: AbortSignal) => (begun.waits++, systemClock.sleep(ms, signal)),
    yield: () => (begun.waits++, systemClock.yield()),
  };
  const disks = [new Disk(), new Disk()] as const;
  const common = {
    config: readConfig({ TOPIC_PARTITIONS: "2", PARTITIONS_SETTLE_MS: "100", CART_PORT: "0", ORDER_PORT: "0", ...env }),
    logger: pino({ level: "silent" }),
    clock,
    random: Math.random,
    now_s: () => systemClock.now_ms() / 1_000,
  };
  const claimed = (disk: Disk) => () => (begun.claims++, disk.claim());
  const peers = isCartAlone ? undefined : { secret: "of all carts", transport: noTransport, addresses: [] };
  const cart = cartRole({ ...common, log: broker.connect("cart"), claimState: claimed(disks[0]), newUuid, peers });
  const handle = cart.app.handle.bind(cart.app);
  const log = broker.connect("order-service");
  const orders = orderServiceRole({ ...common, log, claimState: claimed(disks[1]), cart: handle });
  return { cart, orders, broker, begun };
}

const ask = ({ app }: Role, path: string, init?: RequestInit) => app.handle(new Request(`http://localhost${path}`, init));
const isReady = async (role: Role) => (await ask(role, "/health/ready")).status === 200;
const create = (role: Role, path: string, order_id: string) =>
  ask(role, path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ order_id, number_of_items: 1 }),
  });

test("a role that was made has begun nothing, and answers that it is not ready", async () => {
  const { cart, orders, broker, begun } = roles();
  for (const role of [cart, orders]) {
    expect((await ask(role, "/health/ready")).status).toBe(503);
    expect((await ask(role, "/metrics")).status).toBe(200);
  }
  await Bun.sleep(10);
  expect(begun).toEqual({ waits: 0, claims: 0 });
  expect(await broker.connect("a look").partitionCount("orders.events")).toBe(0);
  await Promise.all([cart.stop(), orders.stop()]);
});

test("roles that were started do their work without a network, and refuse requests once they are stopped", async () => {
  const { cart, orders } = roles();
  cart.start();
  orders.start();
  await waitUntil("both are ready", async () => (await isReady(cart)) && (await isReady(orders)));
  const created = await create(cart, "/create-order", "1");
  expect(created.status).toBe(200);
  const headers = { "log-position": created.headers.get("log-position") ?? "" };
  expect((await ask(orders, "/order-details?orderId=1", { headers })).status).toBe(200);
  expect((await create(orders, "/try/create-order", "1")).status).toBe(409);
  const live = await ask(orders, "/live");
  await Promise.all([cart.stop(), orders.stop()]);
  expect(await live.text()).toContain("event: figures");
  for (const [role, path] of [
    [cart, "/create-order"],
    [orders, "/order-details?orderId=1"],
  ] as const)
    expect(await (await (role === cart ? create(role, path, "2") : ask(role, path))).json()).toMatchObject({
      code: "SHUTTING_DOWN",
    });
});

test("a server that is stopped ends the live figures, which would not end by themselves, and cuts no request off", async () => {
  const { cart, orders } = roles();
  const server = orders.listen();
  orders.start();
  const live = await fetch(`${server.url}/live`);
  expect(await server.stop()).toBe(0);
  expect(await live.text()).toContain("event: figures");
  await Promise.all([cart.stop(), orders.stop()]);
});

test("a cart tells how many carts are to have each index, 0 where each has all, and an order service tells nothing of it", async () => {
  const wanted = async (role: Role) =>
    (await (await ask(role, "/metrics")).text()).match(/(?<=^orders_index_copies_wanted.* ).*$/m)?.[0];
  const env = { INDEX_REPLICAS: "3" };
  for (const [isCartAlone, copies] of [
    [false, "3"],
    [true, "0"],
  ] as const) {
    const { cart, orders } = roles({ env, isCartAlone });
    expect([await wanted(cart), await wanted(orders)]).toEqual([copies, undefined]);
    await Promise.all([cart.stop(), orders.stop()]);
  }
});
