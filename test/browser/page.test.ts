import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import axe from "axe-core";
import type { Page } from "playwright-core";
import type { Log } from "../../src/log/port.ts";
import { browserSuite } from "../support/http/browser.ts";
import { type Program, startProgram } from "../support/programs/processes.ts";
import { waitUntil } from "../support/wait-until.ts";
import { HOSTILE, keepBusy, logIn, STORY_ORDER, STORY_PARTITIONS, tellStory } from "./story.ts";
import { patience_ms, textOf } from "./text-of.ts";

/** What axe-core finds against WCAG 2.2 A and AA: names, landmarks, contrast. */
async function accessibilityFindings(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() =>
    (window as unknown as { axe: typeof axe }).axe.run({
      runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"],
    }),
  );
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(" ")).join(", ")}`);
}

const looks = [
  { width: 1280, colorScheme: "light" },
  { width: 1280, colorScheme: "dark" },
  { width: 400, colorScheme: "light" },
  { width: 400, colorScheme: "dark" },
] as const;

browserSuite("the order service's page", (open) => {
  let program: Program;
  let log: Log;
  const busy = new AbortController();
  let feeding: Promise<void>;

  beforeAll(async () => {
    program = await startProgram({ env: { TOPIC_PARTITIONS: String(STORY_PARTITIONS), PARTITIONS_SETTLE_MS: "0" } });
    await program.ready();
    log = logIn(program.dataDir);
    await tellStory(log);
    feeding = keepBusy(log, 200, busy.signal);
  }, 60_000);
  afterAll(async () => {
    busy.abort();
    await feeding;
    await log?.close();
    await program?.[Symbol.asyncDispose]();
  }, 30_000);

  for (const { width, colorScheme } of looks) {
    describe(`${width} px, ${colorScheme}`, () => {
      const visit = async (body: (page: Page) => Promise<void>) => {
        await using watched = await open({ viewport: { width, height: 900 }, colorScheme });
        await watched.page.goto(program.orderUrl);
        await body(watched.page);
        expect(watched.complaints).toEqual([]);
      };

      test(
        "shows the pipeline with live rates and each actor's state, and the plots",
        () =>
          visit(async (page) => {
            await textOf(page, "#status", /^Up to date: all 4 partitions running here\.$/);
            await textOf(page, "#figures", /applied[1-9][0-9]*\/s/);
            await textOf(page, "#figures", /written → readable[0-9.]+ m?s · [0-9.]+ m?s/);
            await textOf(page, "#figures", /held updates2dead letters4$/);
            expect(await page.locator("#picture .state").allTextContents()).toEqual(Array(4).fill("running") as string[]);
            await page.click("#table summary");
            await textOf(page, "#table tbody", /running/);
            expect(await page.locator("#table tbody tr").count()).toBe(4);
            await textOf(page, "#plot-list", /Events applied[1-9][0-9,]*\/s/);
            // Each plot is drawn: a pixel of its canvas has the colour of its line.
            const drawn = await page.$$eval("#plot-list canvas", (canvases) =>
              canvases.map((canvas) => {
                const { width: w, height: h } = canvas as HTMLCanvasElement;
                const { data } = (canvas as HTMLCanvasElement).getContext("2d")!.getImageData(0, 0, w, h);
                let pixels = 0;
                for (let i = 0; i < data.length; i += 4) {
                  const [r = 0, g = 0, b = 0, a = 0] = data.subarray(i, i + 4);
                  if (a > 200 && Math.max(r, g, b) - Math.min(r, g, b) > 60) pixels++;
                }
                return pixels > 0;
              }),
            );
            expect(drawn).toEqual([true, true, true]);
            // Nothing sticks out at the side.
            expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
            expect(await accessibilityFindings(page)).toEqual([]);
          }),
        patience_ms * 3,
      );

      test(
        "finds an order and tells its events, with what became of each",
        () =>
          visit(async (page) => {
            await page.locator("#find").getByLabel("Order", { exact: true }).fill(STORY_ORDER.slice(4));
            await page.click("#find-form button");
            await textOf(page, "#find-result h3", /^ORD-4711shipped$/);
            await textOf(page, "#find-result", /7 events\./);
            const events = await page.$$eval(".timeline li", (list) =>
              list.map((li) => [...li.children].slice(1).map(({ textContent }) => textContent)),
            );
            const partition = events[0]?.[0]?.split(":")[0];
            expect(events).toEqual([
              [`${partition}:0`, "update to pending", "held until the create came"],
              [`${partition}:1`, "update to confirmed", "held until the create came"],
              [`${partition}:2`, "create, 112.40 EUR", "created the order, with 2 held updates applied"],
              [`${partition}:3`, "create, 112.40 EUR", "ignored: the order was created before"],
              [`${partition}:4`, "update to confirmed", "duplicate: its id counted before, nothing changed"],
              [`${partition}:5`, "update to shipped", "applied; by replay night-1"],
              [`${partition}:6`, "no event", "dead letter; The value is not JSON."],
            ]);
            expect(await accessibilityFindings(page)).toEqual([]);
          }),
        patience_ms * 3,
      );

      test(
        "lists the dead letters, shows their bytes and never takes them for HTML, filters, and names the command",
        () =>
          visit(async (page) => {
            await textOf(page, "#letters-list", /These are all\./);
            expect(await page.locator(".letters > li").count()).toBe(4);
            await textOf(page, "#letters-reason", /not_json \(1\)/);
            await page.getByLabel("Reason").selectOption("not_json");
            await waitUntil("for one letter", async () => (await page.locator(".letters > li").count()) === 1);
            await page.click(".letters summary");
            await textOf(page, ".letters pre", /^no json <img/);
            expect(await page.textContent(".letters pre")).toBe(HOSTILE);
            expect(await page.locator(".letters img").count()).toBe(0);
            expect(await page.title()).toBe("Order processing");
            expect(await page.textContent(".letters .command code")).toMatch(
              /^bun run redrive --partition \d+ --offset \d+ --direct --yes$/,
            );
            await page.selectOption("#letters-reason", "");
            await waitUntil("for all letters", async () => (await page.locator(".letters > li").count()) === 4);
            await page.getByLabel("Contains").fill("ord-5");
            expect(await page.locator(".letters > li:visible").count()).toBe(1);
            await page.click(".letters > li:visible summary");
            expect(await page.locator(".letters > li:visible pre").textContent()).toContain(
              "00000000  fe 80 01 02 03 41 42 43                          |.....ABC|",
            );
            expect(await accessibilityFindings(page)).toEqual([]);
          }),
        patience_ms * 3,
      );

      test(
        "creates an order and updates it, and shows both arrive",
        () =>
          visit(async (page) => {
            await page.getByLabel("Items").fill("2");
            await page.click("text=Create order");
            await textOf(page, ".steps li:first-child", /POST \/create-order: in the log after .*; readable after /);
            await textOf(page, "#find-result h3", /new$/);
            await textOf(page, "#find-result", /1 event\./);
            await textOf(page, "#find-result summary", /^2 items$/);
            await page.getByLabel("Status").selectOption("cancelled");
            await page.click("text=Update status");
            await textOf(page, ".steps li:first-child", /PUT \/update-order: in the log after .*; readable after /);
            await textOf(page, "#find-result h3", /cancelled$/);
            await textOf(page, "#find-result", /2 events\./);
          }),
        patience_ms * 3,
      );
    });
  }

  test(
    "is used by keyboard alone: a skip link, a visible focus, and an address that leads to the order",
    async () => {
      await using watched = await open({ viewport: { width: 1280, height: 900 }, reducedMotion: "reduce" });
      const { page, complaints } = watched;
      await page.goto(program.orderUrl);
      await page.keyboard.press("Tab");
      expect(await page.evaluate(() => document.activeElement?.textContent)).toBe("Skip to the pipeline");
      await page.focus("#find-id");
      await page.keyboard.type(STORY_ORDER);
      expect(await page.$eval("#find-id", (input) => getComputedStyle(input).outlineStyle)).toBe("solid");
      await page.keyboard.press("Tab");
      await page.keyboard.press("Space");
      await textOf(page, "#find-result", /7 events\./);
      expect(page.url()).toEndWith(`#order=${STORY_ORDER}`);
      await page.reload();
      await textOf(page, "#find-result", /7 events\./);
      expect(complaints).toEqual([]);
    },
    patience_ms * 2,
  );

  test(
    "says in the service's own sentence that there is no such order",
    async () => {
      await using watched = await open();
      const { page, complaints } = watched;
      await page.goto(`${program.orderUrl}/#order=404404`);
      await textOf(page, "#find-result [role=alert]", /^There is no order ORD-404404\.$/);
      // The browser itself complains about every answer with an error status.
      expect(complaints.filter((complaint) => !/status of 404/.test(complaint))).toEqual([]);
    },
    patience_ms,
  );

  test(
    "works below a path that a proxy gives it, and asks for nothing beside it; so does the API to browse",
    async () => {
      const outside: string[] = [];
      using proxy = Bun.serve({
        port: 0,
        hostname: "127.0.0.1",
        fetch: (request) => {
          const { pathname, search } = new URL(request.url);
          if (!pathname.startsWith("/shop/orders/")) {
            outside.push(pathname);
            return new Response(null, { status: 404 });
          }
          return fetch(program.orderUrl + pathname.slice("/shop/orders".length) + search, request);
        },
      });
      await using watched = await open();
      const { page, complaints } = watched;
      await page.goto(`${proxy.url}shop/orders/#order=${STORY_ORDER}`);
      await textOf(page, "#status", /^Up to date/);
      await textOf(page, "#find-result", /created the order/);
      await page.click("#try-body button:has-text('Create order')");
      await textOf(page, "#try-body", /readable after/);
      await page.goto(`${proxy.url}shop/orders/docs`);
      await page.locator(`.opblock-summary:has([data-path="/partitions"])`).click();
      await page.locator(".opblock.is-open .try-out__btn").click();
      await page.locator(".opblock.is-open .execute").click();
      await textOf(page, ".opblock.is-open .live-responses-table", /"topicName"/);
      expect([outside, complaints]).toEqual([[], []]);
    },
    2 * patience_ms,
  );

  test(
    "the cart's page below a path of a proxy's tells commands that go through the proxy, and links to nothing beside it",
    async () => {
      using proxy = Bun.serve({
        port: 0,
        hostname: "127.0.0.1",
        // fetch names the service itself in Host, as a proxy does unless it is told otherwise.
        fetch: ({ url }) => fetch(program.cartUrl + new URL(url).pathname.replace(/^\/shop\/cart/, "")),
      });
      await using watched = await open();
      const { page, complaints } = watched;
      await page.goto(`${proxy.url}shop/cart/`);
      const commands = await page.locator("pre").innerText();
      expect(commands).toContain(`curl -X POST ${proxy.url}shop/cart/create-order `);
      expect(commands).toContain(`curl -X PUT ${proxy.url}shop/cart/update-order `);
      const links = await page.locator("a").evaluateAll((all) => all.map((link) => (link as unknown as { href: string }).href));
      expect(links.filter((link) => !link.startsWith(`${proxy.url}shop/cart/`))).toEqual([]);
      expect(await page.locator("main").innerText()).toContain(`page (port ${new URL(program.orderUrl).port} where`);
      await page.goto(program.cartUrl);
      expect(await page.locator("pre").innerText()).toContain(`curl -X POST ${program.cartUrl}/create-order `);
      expect(complaints).toEqual([]);
    },
    patience_ms,
  );

  test(
    "the cart's page leads to it",
    async () => {
      await using watched = await open();
      await watched.page.goto(program.cartUrl);
      await watched.page.click("text=page");
      await textOf(watched.page, "h1", /^Order processing$/);
      expect(watched.complaints).toEqual([]);
    },
    patience_ms,
  );
});
