import { afterAll, beforeAll, expect, test } from "bun:test";
import { browserSuite } from "../support/http/browser.ts";
import { type Program, startProgram } from "../support/programs/processes.ts";

browserSuite("the API to browse", (open) => {
  let program: Program;
  beforeAll(async () => {
    program = await startProgram();
    await program.ready();
  }, 60_000);
  afterAll(() => program[Symbol.asyncDispose]());

  test.each([
    ["cart", "cartUrl", "/create-order"],
    ["order", "orderUrl", "/order-details"],
  ] as const)(
    "of the %s service shows every route, quietly, with nothing from elsewhere",
    async (_, url, route) => {
      await using watched = await open();
      const { page, complaints } = watched;
      await page.goto(`${program[url]}/docs`, { waitUntil: "networkidle" });
      await page.locator(".opblock-summary").first().waitFor();
      const document = (await (await fetch(`${program[url]}/openapi.json`)).json()) as { paths: Record<string, object> };
      const operations = Object.values(document.paths).flatMap((path) => Object.keys(path));
      expect(await page.locator(".opblock").count()).toBe(operations.length);
      expect(await page.locator(".info a[href='asyncapi.json']").count()).toBe(1);
      await page.locator(`.opblock-summary:has([data-path="${route}"])`).click();
      const opened = page.locator(".opblock.is-open");
      await opened.locator(".responses-table .response").first().waitFor();
      expect(await opened.locator(".response-col_status").allInnerTexts()).toContain("503");
      expect(complaints).toEqual([]);
    },
    60_000,
  );

  test("tries a route out", async () => {
    await using watched = await open({ colorScheme: "dark" });
    const { page, complaints } = watched;
    await page.goto(`${program.cartUrl}/docs`, { waitUntil: "networkidle" });
    await page.locator(`.opblock-summary:has([data-path="/create-order"])`).click();
    const opened = page.locator(".opblock.is-open");
    await opened.locator(".try-out__btn").click();
    await opened.locator(".execute").click();
    const answer = opened.locator(".live-responses-table .response");
    await answer.first().waitFor();
    expect(await answer.first().innerText()).toContain("order created and published successfully");
    expect(complaints).toEqual([]);
  }, 60_000);

  test("has nothing filled in that may be left out, so a query is answered at the first press", async () => {
    const order = { order_id: "123", number_of_items: 3 };
    await fetch(`${program.cartUrl}/create-order`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(order),
    });
    await using watched = await open();
    const { page } = watched;
    // The address with the trailing slash that people type works, too.
    await page.goto(`${program.orderUrl}/docs/`);
    await page.locator(`.opblock-summary:has([data-path="/order-details"])`).click();
    const opened = page.locator(".opblock.is-open");
    await opened.locator(".try-out__btn").click();
    const header = opened.locator('[data-param-name="Log-Position"] input');
    expect([await header.inputValue(), await header.getAttribute("placeholder")]).toEqual(["", "Log-Position"]);
    await opened.locator(".execute").click();
    const answer = opened.locator(".live-responses-table .response");
    await answer.first().waitFor();
    expect(await answer.first().innerText()).toContain('"orderId": "ORD-123"');
    expect(watched.complaints).toEqual([]);
  }, 60_000);
});
