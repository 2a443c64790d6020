import { expect, test } from "bun:test";
import { browserSuite, type OpenPage } from "../support/http/browser.ts";
import { startProgram } from "../support/programs/processes.ts";
import { tempDir } from "../support/stores/temp-dir.ts";
import { fillPartition, logIn, STORY_PARTITIONS } from "./story.ts";
import { patience_ms, textOf } from "./text-of.ts";

const TOKEN = "night-shift-7";

browserSuite("the order service's page while the service is not well", (open: OpenPage) => {
  test(
    "says that it is stale when the service dies, and goes on by itself when it is back",
    async () => {
      await using dir = await tempDir();
      const env = { TOPIC_PARTITIONS: String(STORY_PARTITIONS) };
      const first = await startProgram({ env, dataDir: dir.path });
      const ports = { CART_PORT: new URL(first.cartUrl).port, ORDER_PORT: new URL(first.orderUrl).port };
      await first.ready();
      await using watched = await open();
      const { page } = watched;
      await page.goto(first.orderUrl);
      await textOf(page, "#status", /^Up to date/);
      await first[Symbol.asyncDispose]();
      await textOf(page, "#status", /^No live data; trying again\. What is shown is from /);
      expect(await page.getAttribute("body", "class")).toBe("stale");
      await using second = await startProgram({ env: { ...env, ...ports }, dataDir: dir.path });
      await second.ready();
      await textOf(page, "#status", /^Up to date/);
      expect(await page.getAttribute("body", "class")).toBe("");
      expect(
        watched.complaints.filter(
          (complaint) => !/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET/.test(complaint),
        ),
      ).toEqual([]);
    },
    patience_ms * 3,
  );

  test(
    "comes back also after an answer with which a browser gives up",
    async () => {
      await using program = await startProgram();
      await program.ready();
      await using watched = await open();
      const { page } = watched;
      let asked = 0;
      await page.route("**/live", (route) => (asked++ < 2 ? route.fulfill({ status: 503 }) : route.continue()));
      await page.goto(program.orderUrl);
      await textOf(page, "#status", /^No live data/);
      await textOf(page, "#status", /^Up to date/);
      expect(asked).toBe(3);
    },
    patience_ms * 2,
  );

  test("shows a rebuild's progress and the time left", async () => {
    await using program = await startProgram({ env: { TOPIC_PARTITIONS: String(STORY_PARTITIONS), OPERATOR_TOKEN: TOKEN } });
    await program.ready();
    const log = logIn(program.dataDir);
    await fillPartition(log, 2, 250_000);
    await log.close();
    await program.ready(60_000);
    await using watched = await open();
    const { page } = watched;
    await page.goto(program.orderUrl);
    await textOf(page, "#status", /^Up to date/);
    expect(await page.isVisible("#restore")).toBe(false);
    const headers = { authorization: `Bearer ${TOKEN}` };
    expect((await fetch(`${program.orderUrl}/partitions/2/rebuild`, { method: "POST", headers })).status).toBe(202);
    await textOf(page, "#restore-text", /^[0-9]+ % of 250,000 records · [0-9,]+\/s · about [0-9]+ s left$/);
    expect(await page.isVisible("progress")).toBe(true);
    await textOf(page, "#status", /^Catching up/);
    await textOf(page, "#status", /^Up to date/);
    expect(await page.isVisible("#restore")).toBe(false);
    expect(watched.complaints).toEqual([]);
  }, 120_000);
});
