import { join } from "node:path";
import { chromium } from "playwright-core";
import { removeAllTempDirs } from "../support/stores/temp-dir.ts";
import { startProgram } from "../support/programs/processes.ts";
import { keepBusy, logIn, STORY_ORDER, tellStory } from "./story.ts";

/**
 * Writes the README's pictures of the page, light and dark, from a run of the real program: `bun
 * test/browser/screenshots.ts`.
 */
const RUN_MS = 75_000;
const folder = join(import.meta.dir, "../../docs/pictures");

const program = await startProgram({ env: { TOPIC_PARTITIONS: "12", PARTITIONS_SETTLE_MS: "0" } });
await program.ready();
const log = logIn(program.dataDir);
const ending = new AbortController();
await tellStory(log, 12);
const feeding = keepBusy(log, 400, ending.signal, 12);
const browser = await chromium.launch({
  executablePath: process.env["CHROMIUM_BIN"] ?? Bun.which("chromium") ?? "chromium",
  args: ["--no-sandbox", "--disable-gpu"],
});
const pages = await Promise.all(
  (["light", "dark"] as const).map(async (colorScheme) => {
    const page = await browser.newPage({ viewport: { width: 1280, height: 1290 }, colorScheme });
    await page.goto(program.orderUrl);
    return { page, colorScheme };
  }),
);
await Bun.sleep(RUN_MS);
for (const { page, colorScheme } of pages) {
  await page.fill("#find-id", STORY_ORDER);
  await page.press("#find-id", "Enter");
  await page.waitForSelector(".timeline li:nth-child(7)");
  await page.evaluate(() => {
    (document.activeElement as HTMLElement | null)?.blur();
    scrollTo(0, 0);
  });
  await page.screenshot({ path: join(folder, `page-${colorScheme}.png`) });
}
await browser.close();
ending.abort();
await feeding;
await log.close();
await program[Symbol.asyncDispose]();
await removeAllTempDirs();
