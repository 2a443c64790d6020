import { afterEach, expect, setSystemTime, test } from "bun:test";
import { createRequire } from "node:module";

interface PushedRequest {
  readonly entry: { readonly correlationId: number; readonly resolve: () => void; readonly reject: (error: Error) => void };
  readonly expectResponse: boolean;
  readonly sendRequest: () => void;
}

interface RequestQueue {
  scheduleRequestTimeoutCheck(): void;
  maybeThrottle(wait_ms: number): void;
  push(request: PushedRequest): void;
  destroy(): void;
}

type NewRequestQueue = new (options: object) => RequestQueue;
const Queue = createRequire(import.meta.url)("kafkajs/src/network/requestQueue") as NewRequestQueue;

const ignore = () => undefined;
const HOUR_MS = 3_600_000;

afterEach(() => void setSystemTime());

function openQueue(): RequestQueue {
  const logger = { namespace: () => logger, debug: ignore, warn: ignore };
  const limits = { maxInFlightRequests: null, requestTimeout: 50, enforceRequestTimeout: true };
  return new Queue({ ...limits, clientId: "test", broker: "b:1", logger, isConnected: () => true });
}

// kafkajs measures with Date.now(); src/log/patches changes that.
test("a request that is not answered times out although the wall clock is set back", async () => {
  const queue = openQueue();
  queue.scheduleRequestTimeoutCheck();
  const settled = Promise.withResolvers<void>();
  const { resolve, reject } = settled;
  queue.push({ entry: { correlationId: 1, resolve, reject }, expectResponse: true, sendRequest: ignore });
  setSystemTime(Date.now() - HOUR_MS);
  const outcome = settled.promise.then(
    () => "answered",
    (e: Error) => e.message,
  );
  expect(await Promise.race([outcome, Bun.sleep(1_000).then(() => "still waiting")])).toContain("timed out");
  queue.destroy();
});

test("a broker's throttling of a moment ends although the wall clock is set back", async () => {
  const queue = openQueue();
  queue.maybeThrottle(30);
  setSystemTime(Date.now() - HOUR_MS);
  const sent = Promise.withResolvers<string>();
  const entry = { correlationId: 1, resolve: ignore, reject: ignore };
  queue.push({ entry, expectResponse: true, sendRequest: () => sent.resolve("sent") });
  expect(await Promise.race([sent.promise, Bun.sleep(1_000).then(() => "still held back")])).toBe("sent");
  queue.destroy();
});
