import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { GUESSES_MAX } from "../../src/services/orders/operator/operator-guard.ts";
import { ApiDocument, type Schema, schemaCheck } from "../support/http/api-document.ts";
import { type Backing, embeddedBacking, readAll } from "../support/brokers/foreign.ts";
import { freePorts } from "../support/brokers/ports.ts";
import { type Program, startProgram } from "../support/programs/processes.ts";
import { waitUntil } from "../support/wait-until.ts";

const OPERATOR_TOKEN = "night-shift-7";
const start_ms_max = 60_000;

/** Answers that one request cannot bring about; the tests of the apps do. */
const notProvoked = {
  cart: ["live 503"],
  orders: ["liveFigures 200", "live 503"],
};

/** The paths that only a browser asks for: the page, what it is made of, and its form. */
const isOfThePage = (path: string) =>
  path === "/" || path === "/docs/" || path.startsWith("/assets/") || path.startsWith("/try/");

const json = (body: unknown, headers: Record<string, string> = {}) => ({
  headers: { "content-type": "application/json", ...headers },
  body: typeof body === "string" ? body : JSON.stringify(body),
});

/** The real program is made to give each documented answer, which is held against the document it serves. */
describe("every documented answer is given, and as documented", () => {
  let backing: Backing;
  /** A healthy program. */
  let program: Program;
  /** A program with room for one request at a time. */
  let crowded: Program;
  /** A program whose broker is not there. */
  let cutOff: Program;
  let cart: ApiDocument;
  let orders: ApiDocument;

  beforeAll(async () => {
    backing = await embeddedBacking();
    const [noBroker] = await freePorts(1);
    [program, crowded, cutOff] = await Promise.all([
      startProgram({ env: { ...backing.env, OPERATOR_TOKEN }, dataDir: backing.dataDir }),
      startProgram({ env: { IN_FLIGHT_REQUESTS_MAX: "1", READ_WAIT_MS_MAX: "3000" } }),
      startProgram({ env: { KAFKA_BROKERS: `127.0.0.1:${noBroker}`, APPEND_WAIT_MS_MAX: "300" } }),
    ]);
    await Promise.all([program.ready(), crowded.ready(), cutOff.live()]);
    cart = await ApiDocument.of(program.cartUrl);
    orders = await ApiDocument.of(program.orderUrl);
  }, start_ms_max);
  afterAll(async () => {
    await Promise.all([program, crowded, cutOff].map((one) => one[Symbol.asyncDispose]()));
    await backing[Symbol.asyncDispose]();
  });

  /** Sends a request, and holds the answer against the document and `status`. */
  const expectAnswer = async (document: ApiDocument, status: number, method: string, url: string, init: RequestInit = {}) => {
    const response = await document.ask(url, { method, ...init });
    expect(`${method} ${url} ${response.status}`).toBe(`${method} ${url} ${status}`);
    return response;
  };
  const onCart = (status: number, method: string, path: string, init?: RequestInit, of = program) =>
    expectAnswer(cart, status, method, of.cartUrl + path, init);
  const onOrders = (status: number, method: string, path: string, init?: RequestInit, of = program) =>
    expectAnswer(orders, status, method, of.orderUrl + path, init);
  const gets = (document: ApiDocument) =>
    Object.entries(document.document.paths).flatMap(([path, { get }]) => (get ? [path] : []));
  const concrete = (path: string) =>
    path.replace("{partition}", "0").replace("{file}", "swagger-ui.css").replace("{orderId}", "ORD-7");

  test("by the cart service", async () => {
    const item = { item_id: "I", quantity: 1, price: 1 };
    for (const [method, path, good, odd] of [
      ["POST", "/create-order", { order_id: "1", number_of_items: 2 }, { order_id: "1", items: [{ ...item, quantity: 0 }] }],
      ["PUT", "/update-order", { order_id: "1", status: "shipped" }, { order_id: "x", status: "lost" }],
    ] as const) {
      await onCart(200, method, path, json(good, { "idempotency-key": `"${method}"` }));
      await onCart(200, method, path, json(good, { "idempotency-key": method, traceparent: "odd" }));
      await onCart(422, method, path, json({ ...good, order_id: "2" }, { "idempotency-key": method }));
      await onCart(422, method, path, json(odd));
      await onCart(422, method, path, json("[]"));
      await onCart(400, method, path, json("{"));
      await onCart(400, method, path, json(good, { "idempotency-key": "ä" }));
      await onCart(413, method, path, json(" ".repeat(70_000)));
      await onCart(415, method, path, { headers: { "content-type": "text/plain" }, body: "{}" });
      await onCart(503, method, path, json(good), cutOff);
    }
    await onCart(409, "POST", "/create-order", json({ orderId: "ORD-1", numberOfItems: 1 }));
    await onCart(404, "PUT", "/update-order", json({ orderId: "404", status: "new" }));
    await sameKeyAtOnce();
    await onCart(503, "GET", "/health/ready", {}, cutOff);
    await Promise.all(
      (
        [
          ["POST", "/create-order"],
          ["PUT", "/update-order"],
        ] as const
      ).flatMap(([method, path]) => [
        onCart(408, method, path, { ...json(""), body: endless() }),
        onCart(417, method, path, { ...json("", { expect: "something" }), body: endless() }),
      ]),
    );
    // A create that cannot be appended yet takes all the room there is.
    const log = new Database(join(crowded.dataDir, "log.sqlite"));
    log.run("BEGIN IMMEDIATE");
    const holding = fetch(`${crowded.cartUrl}/create-order`, { method: "POST", ...json({ order_id: "1", number_of_items: 1 }) });
    await whileHeld(cart, crowded.cartUrl, holding, () => log.close());
    await everyGetAndOtherwise(cart, program.cartUrl);
    const unseen = cart.documented.filter((answer) => !cart.seen.has(answer) && !answer.endsWith(" 500"));
    expect(unseen).toEqual(notProvoked.cart);
  }, 60_000);

  const endless = () => new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode("{")) });

  /** Of requests sent together, one is refused while another is being answered. */
  const sameKeyAtOnce = async () => {
    for (let attempt = 0; !cart.seen.has("updateOrder 409") && attempt < 200; attempt++) {
      const init = json({ order_id: "1", status: "new" }, { "idempotency-key": `at-once-${attempt}` });
      await Promise.all([1, 2, 3].map(() => cart.ask(`${program.cartUrl}/update-order`, { method: "PUT", ...init })));
    }
  };

  /** Expects that all that overload may refuse is refused while `holding` is in flight, then ends it. */
  const whileHeld = async (document: ApiDocument, url: string, holding: Promise<unknown>, end: () => void) => {
    await waitUntil(
      () => "for a request in flight",
      async () => (await fetch(`${url}/openapi.json`)).status === 503,
    );
    for (const [path, methods] of Object.entries(document.document.paths)) {
      for (const [method, { responses }] of Object.entries(methods)) {
        const response = await document.ask(url + concrete(path), { method: method.toUpperCase() });
        const isRefused = "application/problem+json" in (responses["503"]?.content ?? {});
        expect(`${path} ${response.status}`).toBe(`${path} ${isRefused ? 503 : 200}`);
      }
    }
    end();
    await holding.catch(() => undefined);
  };

  /**
   * Asks for GET of each path, another method on each, and a path that does not exist; the document leaves no route
   * out.
   */
  const everyGetAndOtherwise = async (document: ApiDocument, url: string) => {
    for (const [path, methods] of Object.entries(document.document.paths)) {
      const refused = await expectAnswer(document, 405, "DELETE", url + concrete(path));
      const documented = Object.keys(methods).map((method) => method.toUpperCase());
      const allowed = [...documented, ...(documented.includes("GET") ? ["HEAD"] : []), "OPTIONS"];
      expect(`${path} takes ${refused.headers.get("allow")}`).toBe(`${path} takes ${allowed.join(", ")}`);
      for (const method of documented) {
        await expectAnswer(document, 400, method, url + concrete(path), { headers: { host: "two names" } });
        await expectAnswer(document, 421, method, url + concrete(path), { headers: { host: "rebound.example" } });
      }
    }
    for (const path of gets(document).filter((one) => /^\/(docs|openapi|asyncapi|health|partitions)/.test(one)))
      await expectAnswer(document, 200, "GET", url + concrete(path));
    await expectAnswer(document, 404, "GET", `${url}/docs/other`);
    const nowhere = await expectAnswer(document, 404, "GET", `${url}/nowhere`);
    const { detail } = (await nowhere.json()) as { readonly detail: string };
    const routes = detail
      .slice(detail.indexOf(": ") + 2, -1)
      .split(", ")
      .filter((path) => !isOfThePage(path));
    const paths = Object.keys(document.document.paths).map((path) => path.replaceAll(/\{(\w+)\}/g, ":$1"));
    expect(routes.toSorted()).toEqual(paths.toSorted());
  };

  test("by the order service", async () => {
    const created = await onCart(200, "POST", "/create-order", json({ order_id: "7", number_of_items: 2 }));
    const position = created.headers.get("log-position") ?? "";
    await onOrders(200, "GET", "/order-details?orderId=7", { headers: { "log-position": position } });
    await onOrders(400, "GET", "/order-details?orderId=7", { headers: { "log-position": "here" } });
    await onOrders(404, "GET", "/order-details?orderId=404");
    await onOrders(422, "GET", "/order-details");
    await onOrders(503, "GET", "/order-details?orderId=7", { headers: { "log-position": "99:1" } });
    await onOrders(503, "GET", "/order-details?orderId=7", {}, cutOff);
    await onOrders(200, "GET", `/getAllOrderIdsFromTopic?topicName=${backing.topic}`);
    await onOrders(200, "GET", "/getAllOrderIdsFromTopic?topicName=other");
    await onOrders(422, "GET", "/getAllOrderIdsFromTopic");
    // A parameter given twice with the same value counts once; with different values it is refused.
    await onOrders(200, "GET", "/order-details?orderId=7&orderId=7");
    for (const path of ["/order-details?orderId=7&orderId=8", "/getAllOrderIdsFromTopic?topicName=a&topicName=b"])
      await onOrders(422, "GET", path);
    await onOrders(422, "GET", "/orders/7/events?limit=1&limit=2");
    await onOrders(422, "GET", "/dead-letters?reason=not_json&reason=wrong_shape");
    await onOrders(503, "GET", "/getAllOrderIdsFromTopic?topicName=orders.events", {}, cutOff);
    await onOrders(200, "GET", "/orders/7/events", { headers: { "log-position": position } });
    await onOrders(400, "GET", "/orders/7/events", { headers: { "log-position": "here" } });
    await onOrders(404, "GET", "/orders/404/events");
    await onOrders(422, "GET", "/orders/x/events");
    await onOrders(503, "GET", "/orders/7/events", {}, cutOff);
    await onOrders(200, "GET", "/dead-letters");
    await onOrders(422, "GET", "/dead-letters?limit=0");
    await onOrders(503, "GET", "/dead-letters", {}, cutOff);
    await onOrders(200, "GET", "/partitions", {}, cutOff);
    await onOrders(200, "GET", `/partitions/${position.split(":")[0]}/orders?limit=1`);
    await onOrders(422, "GET", "/partitions/0/orders?limit=0");
    await onOrders(404, "GET", "/partitions/99/orders");
    await onOrders(503, "GET", "/health/ready", {}, cutOff);
    const operator = { headers: { authorization: `Bearer ${OPERATOR_TOKEN}` } };
    await onOrders(401, "POST", "/partitions/0/rebuild");
    await onOrders(403, "POST", "/partitions/0/rebuild", operator, cutOff);
    await onOrders(404, "POST", "/partitions/99/rebuild", operator);
    await onOrders(202, "POST", "/partitions/0/rebuild", operator);
    await program.ready();
    const guess = { headers: { authorization: "Bearer day-shift" } };
    for (let asked = 0; asked < GUESSES_MAX; asked++) await onOrders(401, "POST", "/partitions/0/rebuild", guess);
    await onOrders(429, "POST", "/partitions/0/rebuild", guess);
    // A read of what is not written yet waits, and takes all the room there is.
    const waiting = onOrders(503, "GET", "/order-details?orderId=7", { headers: { "log-position": "0:5" } }, crowded);
    await whileHeld(orders, crowded.orderUrl, waiting, () => undefined);
    await waiting;
    await everyGetAndOtherwise(orders, program.orderUrl);
    const unseen = orders.documented.filter((answer) => !orders.seen.has(answer) && !answer.endsWith(" 500"));
    expect(unseen).toEqual(notProvoked.orders);
  }, 60_000);

  test("and records are as the AsyncAPI document says", async () => {
    await onCart(200, "POST", "/create-order", json({ order_id: "8", number_of_items: 1 }, { "idempotency-key": "8" }));
    await onCart(200, "PUT", "/update-order", json({ order_id: "8", status: "shipped" }));
    await backing.produce([{ partition: 0, key: "ORD-9", value: "{not JSON", headers: { "x-of-its-own": "1" } }]);
    await waitUntil(
      () => "for the dead letter",
      async () => (await readAll(backing.log, backing.deadLetterTopic)).length === 1,
    );
    type Message = { readonly headers: Schema; readonly payload: Schema };
    type Channel = { readonly address: string; readonly messages: Readonly<Record<string, unknown>> };
    const document = (await (await fetch(`${program.orderUrl}/asyncapi.json`)).json()) as {
      readonly channels: Readonly<Record<string, Channel>>;
      readonly components: { readonly messages: Readonly<Record<string, Message>> };
    };
    const { channels, components } = document;
    const validates = schemaCheck({ components });
    const found = Map.groupBy(Object.values(channels), ({ address }) => address);
    const complaints: string[] = [];
    const seen = new Set<string>();
    for (const topic of [backing.topic, backing.deadLetterTopic]) {
      const names = Object.keys(found.get(topic)![0]!.messages);
      for (const { value, headers } of await readAll(backing.log, topic)) {
        const text = value?.toString() ?? "";
        const own = headers.filter(([name]) => name !== "x-of-its-own");
        if (own.length === 0) continue;
        const isUpdate = own.some(([name, type]) => name === "ce_type" && type === "ORDER_STATUS_UPDATED");
        const name = isUpdate ? "orderStatusUpdated" : names[0]!;
        const message = components.messages[name]!;
        seen.add(name);
        complaints.push(...validates(message.headers, Object.fromEntries(own)).map((why) => `${name} headers${why}`));
        const payload: unknown = topic === backing.topic ? JSON.parse(text) : text;
        complaints.push(...validates(message.payload, payload).map((why) => `${name} payload${why}`));
      }
    }
    expect(complaints).toEqual([]);
    expect([...seen].toSorted()).toEqual(["deadLetter", "orderCreated", "orderStatusUpdated"]);
  }, 30_000);
});
