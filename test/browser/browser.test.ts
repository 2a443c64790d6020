import { expect, test } from "bun:test";
import { browserSuite } from "../support/http/browser.ts";

browserSuite("the watch over pages", (open) => {
  test("sees errors on the console, exceptions, and requests off the machine", async () => {
    await using watched = await open();
    const { page, complaints } = watched;
    await page.setContent("<h1>quiet</h1>");
    expect([await page.textContent("h1"), complaints]).toEqual(["quiet", []]);
    await page.setContent(
      `<script>console.error("loud")</script><script>throw new Error("thrown")</script><img src="https://cdn.invalid/a.png">`,
    );
    await page.waitForLoadState("load");
    expect(complaints.map((complaint) => complaint.split(" ").slice(0, 2).join(" ")).toSorted()).toEqual([
      "console: Failed",
      "console: loud",
      "exception: thrown",
      "request failed:",
      "request off",
    ]);
  });
});
