import { afterAll, expect, test } from "bun:test";
import { systemClock } from "../../src/clock.ts";
import { AppError } from "../../src/errors.ts";
import { InFlight } from "../../src/http/in-flight.ts";
import { type RunningService, serve } from "../../src/http/serve.ts";
import { serviceApp } from "../../src/http/service.ts";
import { operatorRoutes } from "../../src/order-service/operator-routes.ts";
import type { OrderPartitions, OrderRow } from "../../src/order-service/queries.ts";
import { createLogger } from "../../src/telemetry/logger.ts";

const TOKEN = "night-shift-7";

const rows: OrderRow[] = [
  {
    orderId: "ORD-1",
    order: {
      orderId: "ORD-1",
      customerId: "CUST-1",
      orderDate: "2026-11-22T21:42:39Z",
      items: [{ itemId: "A", quantity: 2, price_hundredths: 7500 }],
      total_hundredths: 15_000,
      currency: "USD",
      status: "new",
    },
    held: [],
    eventIds: ["e1"],
  },
  { orderId: "ORD-2", order: undefined, held: ["shipped", "pending"], eventIds: ["e2", "e3"] },
];

const servers: RunningService[] = [];
afterAll(async () => void (await Promise.all(servers.map((server) => server.stop()))));

function service(operator_token: string | undefined = TOKEN) {
  const rebuilt: number[] = [];
  const asked: [after: string, limit: number][] = [];
  const held = {
    partition: 3,
    state: "running",
    nextOffset: 42,
    endOffset: 50,
    digest: "00000000000aa",
    halted: undefined,
    view: { rowsAfter: (after: string, limit: number) => (asked.push([after, limit]), rows) },
    failed: () => new AppError("CATCHING_UP", "damaged, and rebuilt"),
  };
  const partitions = {
    partitionCount: 12,
    membership: "stable",
    readFailure: undefined,
    held: () => [held],
    get: (partition: number) => (partition === 3 ? held : undefined),
  } as unknown as OrderPartitions;
  const logger = createLogger({ level: "info", format: "json", write: () => undefined });
  const routes = operatorRoutes({
    partitions,
    orders_topic: "orders.events",
    operator_token,
    rebuild: (partition) => rebuilt.push(partition),
  });
  const inFlight = new InFlight(10);
  const server = serve(serviceApp(routes, inFlight, logger), {
    host: "127.0.0.1",
    port: 0,
    portSetting: "ORDER_PORT",
    shutdown_wait_ms_max: 1_000,
    inFlight,
    clock: systemClock,
  });
  servers.push(server);
  const ask = async (method: string, path: string, headers: Record<string, string> = {}) => {
    const response = await fetch(`${server.url}${path}`, { method, headers });
    const text = await response.text();
    return {
      status: response.status,
      text,
      body: (text === "" ? {} : JSON.parse(text)) as Record<string, unknown>,
      allow: response.headers.get("allow"),
    };
  };
  return { ask, held, rebuilt, asked };
}

test("the partitions held here are told with offset and digest", async () => {
  expect((await service().ask("GET", "/partitions")).body).toEqual({
    topicName: "orders.events",
    partitionCount: 12,
    status: "ready",
    partitions: [{ partition: 3, state: "running", offset: 42, end: 50, lag: 8, digest: "00000000000aa" }],
  });
});

test("a partition's rows are told a page at a time, with the offset they stand at, and money with two decimals", async () => {
  const { ask, asked } = service();
  const { body, text } = await ask("GET", "/partitions/3/orders?after=ORD-0&limit=2");
  expect(body).toMatchObject({
    partition: 3,
    offset: 42,
    orders: [
      { orderId: "ORD-1", order: { orderId: "ORD-1", totalAmount: 150 }, held: [], eventIds: ["e1"] },
      { orderId: "ORD-2", order: null, held: ["shipped", "pending"], eventIds: ["e2", "e3"] },
    ],
  });
  expect(text).toContain('"totalAmount":150.00');
  await ask("GET", "/partitions/3/orders");
  expect(asked).toEqual([
    ["ORD-0", 2],
    ["", 200],
  ]);
});

test("what cannot be is refused with a sentence", async () => {
  const { ask, held } = service();
  expect((await ask("GET", "/partitions/4/orders")).body).toMatchObject({ status: 421, detail: "Partition 4 is not held here." });
  expect((await ask("GET", "/partitions/x/orders")).status).toBe(421);
  for (const limit of ["0", "1001", "1e2", "-1"])
    expect((await ask("GET", `/partitions/3/orders?limit=${limit}`)).status).toBe(422);
  expect(await ask("PUT", "/partitions/3/rebuild")).toMatchObject({ status: 405, allow: "POST, OPTIONS" });
  expect((await ask("GET", "/partitions/3")).status).toBe(404);
  Object.assign(held, { view: undefined });
  expect((await ask("GET", "/partitions/3/orders")).body).toMatchObject({ status: 503, code: "CATCHING_UP" });
  const damaged = () => {
    throw new Error("malformed");
  };
  Object.assign(held, { view: { rowsAfter: damaged } });
  expect((await ask("GET", "/partitions/3/orders")).body).toMatchObject({ status: 503, detail: "damaged, and rebuilt" });
});

test("a rebuild is taken with the operator's token alone, and of a partition held here", async () => {
  const { ask, rebuilt } = service();
  const refused = [{}, { authorization: "Bearer night-shift-8" }, { authorization: TOKEN }, { authorization: "Bearer " }];
  for (const headers of refused) expect((await ask("POST", "/partitions/3/rebuild", headers)).status).toBe(403);
  expect(rebuilt).toEqual([]);
  const headers = { authorization: `Bearer ${TOKEN}` };
  expect((await ask("POST", "/partitions/4/rebuild", headers)).status).toBe(421);
  expect((await ask("POST", "/partitions/3/rebuild", headers)).status).toBe(202);
  expect(rebuilt).toEqual([3]);
  const unset = operatorRoutes({
    partitions: {} as OrderPartitions,
    orders_topic: "t",
    operator_token: undefined,
    rebuild: () => undefined,
  });
  expect(() => unset.find(({ method }) => method === "POST")?.handle(new Request("http://x/partitions/3/rebuild"))).toThrow(
    /OPERATOR_TOKEN set/,
  );
});
