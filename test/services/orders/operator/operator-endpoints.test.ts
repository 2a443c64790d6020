import { afterAll, describe, expect, test } from "bun:test";
import { systemClock } from "../../../../src/system/clock.ts";
import { AppError } from "../../../../src/errors.ts";
import { InFlight } from "../../../../src/http/in-flight.ts";
import { type HttpServer, serve } from "../../../../src/http/serve.ts";
import { httpApp } from "../../../../src/http/app.ts";
import { HttpRequest } from "../../../../src/http/http-request.ts";
import { GUESS_WINDOW_MS, GUESSES_MAX, OperatorGuard } from "../../../../src/services/orders/operator/operator-guard.ts";
import { partitionOrders, ROW_PAGES_MAX } from "../../../../src/services/orders/operator/partition-orders-endpoint.ts";
import { partitionsHeld } from "../../../../src/services/orders/operator/partitions-endpoint.ts";
import { rebuildPartition } from "../../../../src/services/orders/operator/rebuild-endpoint.ts";
import type { HeldPartitions } from "../../../../src/runtime/held-partitions.ts";
import type { OrderRow } from "../../../../src/services/orders/state/orders-view.ts";
import { createLogger } from "../../../../src/telemetry/logger.ts";
import { loneFleet } from "../../../support/fleets/lone-fleet.ts";
import { onlyView } from "../../../support/stores/only-view.ts";
import { anOrder, statusChange } from "../../../support/events/orders.ts";

const TOKEN = "night-shift-7";

const rows: OrderRow[] = [
  {
    orderId: "ORD-1",
    order: anOrder({ total_hundredths: 15_000 }),
    held: [],
    eventIds: ["e1"],
  },
  { orderId: "ORD-2", order: undefined, held: [statusChange("shipped"), statusChange("pending")], eventIds: ["e2", "e3"] },
];

const servers: HttpServer[] = [];
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
    view: onlyView({ rowsAfter: (after: string, limit: number) => (asked.push([after, limit]), rows) }),
    queryError: () => new AppError("CATCHING_UP", "damaged, and rebuilt"),
  };
  const partitions = {
    partitionCount: 12,
    membership: "stable",
    readFailure: undefined,
    held: () => [held],
    get: (partition: number) => (partition === 3 ? held : undefined),
  } as unknown as HeldPartitions;
  const now = { ms: 1_000 };
  const logged: string[] = [];
  const logger = createLogger({ level: "info", format: "json", write: (line) => logged.push(line) });
  const clock = { ...systemClock, now_ms: () => now.ms };
  const options = {
    clock,
    logger,
    partitions,
    fleet: loneFleet(),
    log_name: "in memory",
    orders_topic: "orders.events",
    operator_token,
    rebuild: (partition: number) => rebuilt.push(partition),
  };
  const endpoints = [...partitionsHeld(options), ...partitionOrders(options), ...rebuildPartition(options)];
  const inFlight = new InFlight(100);
  const server = serve(httpApp(endpoints, inFlight, logger, { clock: systemClock }), {
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
      challenge: response.headers.get("www-authenticate"),
      retryAfter: response.headers.get("retry-after"),
    };
  };
  return { ask, held, rebuilt, asked, now, logged };
}

test("the partitions are told with offset and digest", async () => {
  expect((await service().ask("GET", "/partitions")).body).toEqual({
    log: "in memory",
    topicName: "orders.events",
    partitionCount: 12,
    status: "ready",
    partitions: [{ partition: 3, state: "running", offset: 42, end: 50, lag: 8, digest: "00000000000aa" }],
    members: [{ status: "ready", partitions: [3] }],
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

test("no more pages of rows are read at a time than others have room beside", async () => {
  const { ask } = service();
  const answers = await Promise.all(Array.from({ length: 10 * ROW_PAGES_MAX }, () => ask("GET", "/partitions/3/orders")));
  const statuses = answers.map(({ status }) => status);
  expect([statuses.includes(200), statuses.includes(503)]).toEqual([true, true]);
  expect((await ask("GET", "/partitions/3/orders")).status).toBe(200);
});

test("what cannot be is refused with a sentence", async () => {
  const { ask, held } = service();
  expect((await ask("GET", "/partitions/4/orders")).body).toMatchObject({ status: 421, detail: "Partition 4 is not held here." });
  for (const none of ["x", "-1", "1.0", "12", "99999999999999999999"]) {
    expect((await ask("GET", `/partitions/${none}/orders`)).body).toMatchObject({ status: 404, code: "NOT_FOUND" });
    const headers = { authorization: `Bearer ${TOKEN}` };
    expect((await ask("POST", `/partitions/${none}/rebuild`, headers)).body).toMatchObject({ status: 404, code: "NOT_FOUND" });
  }
  for (const query of ["limit=1&limit=2", "after=ORD-1&after="])
    expect((await ask("GET", `/partitions/3/orders?${query}`)).body).toMatchObject({ status: 422, code: "INVALID_FIELD" });
  for (const limit of ["0", "1001", "1e2", "-1"])
    expect((await ask("GET", `/partitions/3/orders?limit=${limit}`)).status).toBe(422);
  expect(await ask("PUT", "/partitions/3/rebuild")).toMatchObject({ status: 405, allow: "POST, OPTIONS" });
  expect((await ask("GET", "/partitions/3")).status).toBe(404);
  Object.assign(held, { view: () => undefined });
  expect((await ask("GET", "/partitions/3/orders")).body).toMatchObject({ status: 503, code: "CATCHING_UP" });
  const damaged = () => {
    throw new Error("malformed");
  };
  Object.assign(held, { view: onlyView({ rowsAfter: damaged }) });
  expect((await ask("GET", "/partitions/3/orders")).body).toMatchObject({ status: 503, detail: "damaged, and rebuilt" });
});

test("a rebuild is taken with the operator's token alone, and of a partition held here", async () => {
  const { ask, rebuilt } = service();
  const refused = [{}, { authorization: "Bearer night-shift-8" }, { authorization: TOKEN }, { authorization: "Bearer " }];
  for (const headers of refused) {
    const answer = await ask("POST", "/partitions/3/rebuild", headers);
    expect([answer.status, answer.body.code]).toEqual([401, "OPERATOR_TOKEN_NEEDED"]);
    expect(answer.challenge).toBe(`Bearer realm="operator"${"authorization" in headers ? ', error="invalid_token"' : ""}`);
    expect(answer.body).not.toHaveProperty("challenge");
  }
  expect(rebuilt).toEqual([]);
  const headers = { authorization: `Bearer ${TOKEN}` };
  expect((await ask("POST", "/partitions/4/rebuild", headers)).status).toBe(421);
  expect((await ask("POST", "/partitions/3/rebuild", headers)).status).toBe(202);
  expect(rebuilt).toEqual([3]);
  const [unset] = rebuildPartition({
    partitions: {} as HeldPartitions,
    fleet: loneFleet(),
    operator_token: undefined,
    rebuild: () => undefined,
    clock: systemClock,
    logger: createLogger({ level: "silent", format: "json" }),
  });
  const request = HttpRequest.of(new Request("http://x/partitions/3/rebuild"));
  expect(() => unset?.handle(request)).toThrow(/OPERATOR_TOKEN set/);
});

describe("guessing the operator's token", () => {
  const guess = { authorization: "Bearer day-shift" };
  const right = { authorization: `Bearer ${TOKEN}` };

  test("is slowed down: after some wrong ones a client waits, whatever it sends; asking without a token is no guess", async () => {
    const { ask, now, rebuilt } = service();
    for (let asked = 0; asked < 2 * GUESSES_MAX; asked++) expect((await ask("POST", "/partitions/3/rebuild")).status).toBe(401);
    for (let asked = 0; asked < GUESSES_MAX; asked++)
      expect((await ask("POST", "/partitions/3/rebuild", guess)).status).toBe(401);
    now.ms += 500;
    for (const headers of [guess, right, {}]) {
      const answer = await ask("POST", "/partitions/3/rebuild", headers);
      expect([answer.status, answer.body.code, answer.retryAfter]).toEqual([429, "OPERATOR_TOKEN_GUESSED", "60"]);
    }
    expect(rebuilt).toEqual([]);
    now.ms += GUESS_WINDOW_MS;
    expect((await ask("POST", "/partitions/3/rebuild", guess)).status).toBe(401);
    expect((await ask("POST", "/partitions/3/rebuild", right)).status).toBe(202);
  });

  const from = (address: string, headers: Record<string, string>) =>
    HttpRequest.of(new Request("http://localhost/", { method: "POST", headers }), { address: () => address });

  test("locks out nobody who asks from another address, and what is remembered has a bound", () => {
    const logger = createLogger({ level: "silent", format: "json" });
    const guard = new OperatorGuard({ operator_token: TOKEN, clock: systemClock, logger });
    for (let asked = 0; asked < 3 * GUESSES_MAX; asked++) expect(() => guard.require(from("10.0.0.1", guess))).toThrow();
    expect(() => guard.require(from("10.0.0.1", right))).toThrow(/Too many/);
    expect(() => guard.require(from("10.0.0.2", right))).not.toThrow();
    // The addresses of one IPv6 client are one client.
    for (let asked = 0; asked < GUESSES_MAX; asked++)
      expect(() => guard.require(from(`2001:db8::${asked + 1}`, guess))).toThrow(/must be/);
    expect(() => guard.require(from("2001:db8::ffff", right))).toThrow(/Too many/);
    expect(() => guard.require(from("2001:db8:0:1::1", right))).not.toThrow();
    for (let network = 0; network < 3_000; network++)
      expect(() => guard.require(from(`10.1.${network >> 8}.${network & 255}`, guess))).toThrow();
    expect(() => guard.require(from("10.0.0.1", right))).not.toThrow();
  });

  test("is told in the log once a minute, without what was sent", async () => {
    const { ask, now, logged } = service();
    for (let asked = 0; asked < 5; asked++) await ask("POST", "/partitions/3/rebuild", guess);
    expect(logged).toHaveLength(1);
    for (let asked = 5; asked < 3 * GUESSES_MAX; asked++) await ask("POST", "/partitions/3/rebuild", guess);
    expect(logged).toHaveLength(2);
    now.ms += GUESS_WINDOW_MS;
    await ask("POST", "/partitions/3/rebuild", guess);
    const lines = logged.map((line) => JSON.parse(line) as { level: string; client: string; refused: number });
    expect(lines).toMatchObject([
      { level: "warn", client: "127.0.0.1", refused: 1 },
      { level: "warn", client: "127.0.0.1", refused: GUESSES_MAX },
      { level: "warn", refused: 2 * GUESSES_MAX },
    ]);
    expect(logged.join("")).not.toMatch(/shift/);
  });
});
