import type { Page } from "playwright-core";
import { waitUntil } from "../support/wait-until.ts";

export const patience_ms = 20_000;

/** Waits until an element's text is the wanted one. */
export const textOf = (page: Page, selector: string, wanted: RegExp | string): Promise<boolean> =>
  waitUntil(
    `for ${selector} to be ${wanted}`,
    async () => {
      const text = (await page.textContent(selector)) ?? "";
      return typeof wanted === "string" ? text === wanted : wanted.test(text);
    },
    { wait_ms_max: patience_ms },
  );
