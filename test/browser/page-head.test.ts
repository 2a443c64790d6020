import { afterAll, expect, test } from "bun:test";
import axe from "axe-core";
import { join } from "node:path";
import { systemClock } from "../../src/system/clock.ts";
import { InFlight } from "../../src/http/in-flight.ts";
import { pageEndpoints } from "../../src/http/page.ts";
import { serve } from "../../src/http/serve.ts";
import { httpApp } from "../../src/http/app.ts";
import type { DeadLetterTally } from "../../src/services/orders/dead-letters/dead-letter-tally.ts";
import { Live } from "../../src/services/orders/live/live.ts";
import { liveFigures } from "../../src/services/orders/live/live-endpoint.ts";
import { LiveSampler } from "../../src/services/orders/live/live-sampler.ts";
import type { TopicWarning, HeldPartitions } from "../../src/runtime/held-partitions.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { loneFleet } from "../support/fleets/lone-fleet.ts";
import { browserSuite } from "../support/http/browser.ts";
import { waitUntil } from "../support/wait-until.ts";
import { patience_ms, textOf } from "./text-of.ts";

const SINCE_MS = Date.parse("2026-11-25T10:00:00Z");

browserSuite("the page's head", (open) => {
  const standing = {
    membership: "joining",
    readFailure: undefined as string | undefined,
    warnings: [] as TopicWarning[],
  };
  const partitions = {
    partitionCount: 0,
    held: () => [],
    get membership() {
      return standing.membership;
    },
    get readFailure() {
      return standing.readFailure;
    },
    get readFailingSince_ms() {
      return standing.readFailure === undefined ? undefined : SINCE_MS;
    },
    get topics() {
      return { warnings: standing.warnings, findings: [] };
    },
  } as unknown as HeldPartitions;
  const tally = {
    counts: { letters: 0, byReason: {}, isComplete: true },
    ofPartition: () => 0,
    read: () => Promise.resolve(),
  } as unknown as DeadLetterTally;
  const about = {
    log: "in memory",
    topicName: "orders.events",
    deadLetterTopic: "orders.events.dlq",
    isCartHere: false,
    cartPort: 8_000,
  };
  const live = new Live({
    partitions,
    fleet: loneFleet(),
    sampler: new LiveSampler(systemClock),
    tally,
    about,
    clock: systemClock,
  });
  live.start();
  const inFlight = new InFlight(10);
  const entry = join(import.meta.dir, "../../src/services/orders/page/index.html");
  const service = serve(
    httpApp([liveFigures(live), ...pageEndpoints(entry)], inFlight, createLogger({ level: "silent", format: "json" }), {
      clock: systemClock,
    }),
    { host: "127.0.0.1", port: 0, portSetting: "ORDER_PORT", shutdown_wait_ms_max: 1_000, inFlight, clock: systemClock },
  );
  afterAll(async () => {
    live.close();
    await service.stop();
  });

  test(
    "tells what it waits for and since when, and what about the topics may cost records, as text, for as long as it is so",
    async () => {
      await using watched = await open({ viewport: { width: 1280, height: 900 } });
      const { page } = watched;
      standing.readFailure = "The log cannot be used: 10.0.0.5:9092 refused the connection.";
      await page.goto(service.url);
      const since = await page.evaluate((at_ms) => new Date(at_ms).toLocaleTimeString([], { hour12: false }), SINCE_MS);
      await textOf(page, "#status", `${standing.readFailure} Since ${since}.`);
      expect(await page.isVisible("#warnings")).toBe(false);

      standing.warnings = [
        { topic: "orders.events", code: "compacted", detail: "The topic <b>orders</b> is compacted." },
        { topic: "orders.events.dlq", code: "retention", detail: "The topic keeps its letters for a while only." },
      ];
      await waitUntil("for two warnings", async () => (await page.locator("#warnings p").count()) === 2);
      expect(await page.locator("#warnings p").allTextContents()).toEqual(standing.warnings.map(({ detail }) => detail));
      expect(await page.isVisible("#warnings")).toBe(true);
      await page.evaluate(axe.source);
      const { violations } = await page.evaluate(() =>
        (window as unknown as { axe: typeof axe }).axe.run("header", { runOnly: ["wcag2a", "wcag2aa", "best-practice"] }),
      );
      expect(violations.map(({ id }) => id)).toEqual([]);

      Object.assign(standing, { membership: "stable", readFailure: undefined, warnings: [] });
      await waitUntil("for no warnings", async () => !(await page.isVisible("#warnings")));
      await textOf(page, "#status", "Waiting for the topic.");
    },
    patience_ms * 2,
  );
});
