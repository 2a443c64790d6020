import { expect, test } from "bun:test";
import { parseLogPosition } from "../../src/log/log-position.ts";
import { MemoryFleet } from "../support/fleets/memory-fleet.ts";
import { browserSuite } from "../support/http/browser.ts";
import { waitUntil } from "../support/wait-until.ts";
import { patience_ms, textOf } from "./text-of.ts";

browserSuite("the page of one of several order services", (open) => {
  test(
    "shows what all of them hold, says which does not answer, and marks what is only a part",
    async () => {
      await using fleet = new MemoryFleet();
      const { role } = fleet.start("a");
      fleet.start("b");
      await fleet.settled("a", "b");
      for (let order = 1; order <= 12; order++) await fleet.create(String(order));
      const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: (request) => role.app.handle(request) });
      await using watched = await open();
      const { page } = watched;
      await page.goto(server.url.href);
      await textOf(page, "#status", /^Up to date: all 6 partitions running on 2 order services\.$/);
      await textOf(page, "#figures", /orders12held/);
      await page.click("#table summary");
      await textOf(page, "#table tbody", /http:\/\/b/);
      expect(await page.locator("#table table").nth(1).locator("tbody tr").count()).toBe(2);
      const held = fleet.held("b").join(", ");
      fleet.cut.add("a>b");
      await textOf(page, "#status", /^Not all order services answer: http:\/\/b\.$/);
      await textOf(page, "#figures", /orders≥ [0-9]+held/);
      await textOf(page, "#warnings", new RegExp(`^The order service at http://b does not answer\\..* partitions ${held}\\.$`));
      expect(await page.locator("#picture .state").count()).toBe(3);
      fleet.cut.clear();
      await textOf(page, "#status", /^Up to date/);
      await textOf(page, "#figures", /orders12held/);
      expect(watched.complaints).toEqual([]);
      await page.close();
      await server.stop(true);
    },
    patience_ms * 4,
  );

  test(
    "says of an order whose owner cannot be asked how old it may be, and nothing of the kind once it can",
    async () => {
      await using fleet = new MemoryFleet();
      const { role } = fleet.start("a", { env: { STANDBYS: "1" } });
      fleet.start("b", { env: { STANDBYS: "1" } });
      await fleet.settled("a", "b");
      const { orderId, partition, offset } = await orderOf(fleet, "b");
      await waitUntil("for a to have it as a standby", () =>
        [...role.service.partitions.standbys()].some((one) => one.partition === partition && one.nextOffset > offset),
      );
      const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: (request) => role.app.handle(request) });
      await using watched = await open();
      const { page } = watched;
      const find = async () => {
        await page.fill("#find-id", orderId);
        await page.click("#find-form button");
      };
      await page.goto(server.url.href);
      await find();
      await textOf(page, "#find-result", /1 event\./);
      expect(await page.locator("#find-result .stale").count()).toBe(0);
      fleet.dead.add("b");
      await find();
      const told = /As it was up to [1-9][0-9]? s before it was looked up: its owner could not be asked, or is behind the log\./;
      await textOf(page, "#find-result", told);
      await textOf(page, "#find-result h3", `${orderId}new`);
      fleet.dead.clear();
      await waitUntil("for b to be asked again", async () => {
        await find();
        await textOf(page, "#find-result h3", `${orderId}new`);
        return (await page.locator("#find-result .stale").count()) === 0;
      });
      // What needs the owner was refused meanwhile.
      expect(watched.complaints.filter((complaint) => !/status of 503/.test(complaint))).toEqual([]);
      await page.close();
      await server.stop(true);
    },
    patience_ms * 4,
  );
});

/** Creates orders until one belongs to a partition of that order service. */
async function orderOf(fleet: MemoryFleet, name: string) {
  const held = fleet.held(name);
  for (let n = 1; ; n++) {
    const { partition, offset } = parseLogPosition(await fleet.create(String(n)))!;
    if (held.includes(partition)) return { orderId: `ORD-${n}`, partition, offset };
  }
}
