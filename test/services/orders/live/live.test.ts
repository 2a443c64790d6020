import { afterEach, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { type Clock, systemClock } from "../../../../src/system/clock.ts";
import { AppError } from "../../../../src/errors.ts";
import { clientShare } from "../../../../src/http/permits.ts";
import { InFlight } from "../../../../src/http/in-flight.ts";
import { type HttpServer, serve } from "../../../../src/http/serve.ts";
import { httpApp } from "../../../../src/http/app.ts";
import type { DeadLetterTally } from "../../../../src/services/orders/dead-letters/dead-letter-tally.ts";
import { Live, LIVE_CLIENTS_MAX } from "../../../../src/services/orders/live/live.ts";
import { liveFigures } from "../../../../src/services/orders/live/live-endpoint.ts";
import type { LiveFigures, LiveHistory } from "../../../../src/services/orders/live/live-figures.ts";
import { HISTORY_ROWS, LiveSampler } from "../../../../src/services/orders/live/live-sampler.ts";
import type { HeldPartitions } from "../../../../src/runtime/held-partitions.ts";
import { createLogger } from "../../../../src/telemetry/logger.ts";
import { eventStream } from "../../../support/http/event-stream.ts";
import { loneFleet } from "../../../support/fleets/lone-fleet.ts";
import { waitUntil } from "../../../support/wait-until.ts";
import { onlyView } from "../../../support/stores/only-view.ts";
import { aLogRecord } from "../../../support/events/records.ts";

/** Two partitions, at offsets that a test sets. */
function twoPartitions() {
  const at = (partition: number) => ({
    partition,
    state: "running",
    nextOffset: 0,
    endOffset: 0,
    halted: undefined as string | undefined,
    view: onlyView({ counts: () => ({ orders: 3, held: 1 }) }),
    queryError: () => new AppError("STORE_FAILED", "damaged"),
  });
  const list = [at(0), at(1)] as const;
  const partitions = { partitionCount: 2, membership: "stable", held: () => list } as unknown as HeldPartitions;
  return { list, partitions };
}

/** A clock whose seconds pass when the test says so. */
function steppedClock(): Clock & { tick: () => Promise<void> } {
  let now_ms = 1_000_000;
  let wake = () => {};
  return {
    ...systemClock,
    now_ms: () => now_ms,
    wall_ms: () => now_ms,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        wake = () => {
          now_ms += ms;
          resolve();
        };
        signal?.addEventListener("abort", () => resolve());
      }),
    async tick() {
      wake();
      await systemClock.yield();
    },
  };
}

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => void (await Promise.all(closers.splice(0).map((close) => close()))));

function start(topicName = "orders.events") {
  const clock = steppedClock();
  const { list, partitions } = twoPartitions();
  const reads = { count: 0 };
  const tally = {
    counts: { letters: 2, byReason: { not_json: 2 }, isComplete: true },
    ofPartition: (partition: number) => partition * 2,
    read: () => Promise.resolve(void reads.count++),
  } as unknown as DeadLetterTally;
  const sampler = new LiveSampler(clock);
  const about = { log: "in memory", topicName, deadLetterTopic: `${topicName}.dlq`, isCartHere: true, cartPort: 8_000 };
  const live = new Live({ partitions, fleet: loneFleet(), sampler, tally, about, clock });
  live.start();
  const inFlight = new InFlight(10);
  const service: HttpServer = serve(
    httpApp([liveFigures(live)], inFlight, createLogger({ level: "silent", format: "json" }), { clock }),
    {
      host: "127.0.0.1",
      port: 0,
      portSetting: "ORDER_PORT",
      shutdown_wait_ms_max: 5_000,
      inFlight,
      clock: systemClock,
    },
  );
  closers.push(async () => {
    live.close();
    await service.stop();
  });
  return { clock, list, live, service, sampler, partitions, reads };
}

/** The events of a stream, as they come. */
async function listen(url: string) {
  const response = await fetch(`${url}/live`);
  return { headers: response.headers, ...eventStream(response) };
}

test("a page gets the history and the figures at once, then the figures each second, with rates from differences", async () => {
  const { clock, list, service, sampler } = start();
  list[0].nextOffset = 100;
  list[0].endOffset = 100;
  await clock.tick();
  const page = await listen(service.url);
  expect(page.headers.get("content-type")).toBe("text/event-stream");
  expect(page.headers.get("x-accel-buffering")).toBe("no");
  expect(await page.next("about")).toMatchObject({ isCartHere: true, cartPort: 8_000 });
  expect(await page.next<LiveHistory>("history")).toEqual({
    at_ms: [1_001_000],
    applied_per_s: [0],
    lag: [0],
    p50_ms: [null],
    p99_ms: [null],
  });
  await page.next("figures");
  list[0].nextOffset = 160;
  list[0].endOffset = 200;
  sampler.noteReadable([1_000_960, 1_000_980].map((timestamp_ms) => aLogRecord({ timestamp_ms })));
  await clock.tick();
  const figures = await page.next<LiveFigures>("figures");
  expect(figures).toMatchObject({
    status: "ready",
    appended_per_s: 100,
    applied_per_s: 60,
    lag: 40,
    orders: 6,
    held: 2,
    readable: { p50_ms: 40, p99_ms: 40 },
    deadLetters: { letters: 2, byReason: { not_json: 2 }, isComplete: true },
  });
  expect(figures.partitions[0]).toEqual({
    partition: 0,
    state: "running",
    offset: 160,
    end: 200,
    lag: 40,
    applied_per_s: 60,
    orders: 3,
    held: 1,
    deadLetters: 0,
  });
  await page.leave();
});

test("a rebuilt partition has no negative rate, and a halted one says why", async () => {
  const { clock, list, service } = start();
  list[1].nextOffset = 500;
  await clock.tick();
  list[1].nextOffset = 3;
  Object.assign(list[1], { state: "halted", halted: "The log holds another record." });
  await clock.tick();
  const page = await listen(service.url);
  const figures = await page.next<LiveFigures>("figures");
  expect(figures).toMatchObject({ applied_per_s: 0, status: "halted", reason: "Partition 1: The log holds another record." });
  await page.leave();
});

test("the history is the last 15 minutes, whoever looked meanwhile", () => {
  const clock = steppedClock();
  const { list, partitions } = twoPartitions();
  const sampler = new LiveSampler(clock);
  for (let second = 0; second < HISTORY_ROWS + 50; second++) {
    list[0].endOffset = second;
    sampler.sample(partitions);
  }
  const { lag, at_ms } = sampler.history();
  expect([at_ms.length, lag[0], lag.at(-1)]).toEqual([HISTORY_ROWS, 50, HISTORY_ROWS + 49]);
});

test("nothing is put together while nobody listens", async () => {
  const { clock, service, reads } = start();
  await clock.tick();
  expect(reads.count).toBe(0);
  const page = await listen(service.url);
  await clock.tick();
  expect(reads.count).toBe(1);
  await page.leave();
  await waitUntil("for the client to be noticed as gone", async () => {
    const before = reads.count;
    await clock.tick();
    return reads.count === before;
  });
});

test("only so many pages of one address are served at once, and one that is left makes room", async () => {
  const { service } = start();
  const pages = await Promise.all(Array.from({ length: clientShare(LIVE_CLIENTS_MAX) }, () => listen(service.url)));
  const refused = await fetch(`${service.url}/live`);
  expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([503, "OVERLOADED"]);
  await Promise.all(pages.map((page) => page.leave()));
  const again = await waitUntil("for room", async () => {
    const page = await fetch(`${service.url}/live`);
    if (page.status === 200) return page;
    await page.body?.cancel();
    return false;
  });
  await again.body?.cancel();
});

test("a client that reads nothing is dropped, not buffered, and the others go on", async () => {
  const big = "x".repeat(200_000);
  const { clock, service } = start(big);
  const page = await listen(service.url);
  await page.next("figures");
  const socket = await new Promise<Socket>((resolve) => {
    const connected = connect(service.port, "127.0.0.1", () => {
      connected.write("GET /live HTTP/1.1\r\nHost: x\r\n\r\n");
      connected.pause();
      resolve(connected);
    });
  });
  for (let second = 0; second < 400; second++) {
    await clock.tick();
    await page.next("figures");
  }
  let received_bytes = 0;
  const closed = new Promise((resolve) => socket.on("close", resolve));
  socket.on("data", (chunk) => (received_bytes += chunk.length));
  socket.resume();
  await closed;
  // All of it would be 80 MB; the system's buffers hold some.
  expect(received_bytes).toBeLessThan(20_000_000);
  await page.leave();
}, 30_000);

test("a stopping server does not wait for open pages", async () => {
  const { service, live } = start();
  const page = await listen(service.url);
  await page.next("figures");
  const began_ms = systemClock.now_ms();
  live.close();
  expect(await service.stop()).toBe(0);
  expect(systemClock.now_ms() - began_ms).toBeLessThan(2_000);
});
