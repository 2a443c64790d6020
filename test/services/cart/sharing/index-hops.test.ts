import { expect, test } from "bun:test";
import { AppError, type ErrorCode } from "../../../../src/errors.ts";
import { httpApp } from "../../../../src/http/app.ts";
import { InFlight } from "../../../../src/http/in-flight.ts";
import { commandRequest } from "../../../../src/services/cart/sharing/command-message.ts";
import { indexHops } from "../../../../src/services/cart/sharing/index-hops.ts";
import { systemClock } from "../../../../src/system/clock.ts";
import { createLogger } from "../../../../src/telemetry/logger.ts";

/** What another cart is told of a command that is rejected here with this code. */
async function told(code: ErrorCode, logged: string[] = []): Promise<[status: number, code: unknown]> {
  const change = () => Promise.reject(new AppError(code, "It cannot."));
  const shared = { commands: { create: change, change }, hearPlacing: () => undefined, find: () => Promise.resolve({}) };
  const fleet = { admit: () => systemClock.now_ms() + 1_000 } as never;
  const logger = createLogger({ level: "info", format: "json", write: (line) => logged.push(line) });
  const endpoints = indexHops({ fleet, shared, body_bytes_max: 10_000, clock: systemClock, logger });
  const app = httpApp(endpoints, new InFlight(10), logger, { clock: systemClock });
  const { path, body, headers } = commandRequest(
    { orderId: "ORD-1", change: { type: "ORDER_STATUS_UPDATED", status: "shipped" }, placedBy: 1 },
    undefined,
  );
  const answer = await app.handle(new Request(`http://b${path}`, { method: "POST", headers: { ...headers }, body: body! }));
  return [answer.status, ((await answer.json()) as { code: unknown }).code];
}

test("a store that fails here is told as what hinders the partition, so that the next holder is asked", async () => {
  const logged: string[] = [];
  expect(await told("STORE_FAILED", logged)).toEqual([503, "PARTITION_BLOCKED"]);
  expect(logged).toEqual([expect.stringContaining("a command of another cart failed")]);
});

test("anything else is told as it is", async () => {
  expect(await told("PARTITION_HALTED")).toEqual([503, "PARTITION_HALTED"]);
  expect(await told("ORDER_EXISTS")).toEqual([409, "ORDER_EXISTS"]);
  expect(await told("INTERNAL")).toEqual([500, "INTERNAL"]);
});
