import { describe, expect, test } from "bun:test";
import { expectProblem } from "../../support/http/problems.ts";
import { fakeCartService, IN_FLIGHT_REQUESTS_MAX } from "./fake-cart-service.ts";

const { ask, fake, create, url } = await fakeCartService();

describe("health", () => {
  test("live", async () => {
    const response = await ask(`${url}/health/live`);
    expect([response.status, await response.text()]).toEqual([200, '{"status":"live"}']);
  });

  test("ready", async () => {
    expect((await ask(`${url}/health/ready`)).status).toBe(200);
  });

  test("not ready", async () => {
    fake.health = { status: "catching-up", partitions: [{ partition: 0, state: "catching-up", offset: 1, end: 3, lag: 2 }] };
    const response = await ask(`${url}/health/ready`);
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("1");
    expect(await response.json()).toEqual({ ...fake.health, log: "in memory" });
  });
});

test("requests beyond the bound get 503 at once, health is answered, and all is well when the others are done", async () => {
  let release = () => {};
  const gate = new Promise<void>((resolve) => (release = resolve));
  fake.answer = () => gate.then(() => ({ partition: 0, offset: 0 }));
  const waiting = Array.from({ length: IN_FLIGHT_REQUESTS_MAX }, () => create({ order_id: "1", number_of_items: 1 }));
  while (fake.calls.length < IN_FLIGHT_REQUESTS_MAX) await Bun.sleep(1);
  await expectProblem(await create({ order_id: "1", number_of_items: 1 }), "OVERLOADED");
  expect((await ask(`${url}/health/live`)).status).toBe(200);
  release();
  for (const response of await Promise.all(waiting)) expect(response.status).toBe(200);
  expect((await create({ order_id: "1", number_of_items: 1 })).status).toBe(200);
  expect(fake.inFlight.requests).toBe(0);
});
