import { afterAll, beforeAll, describe, test } from "bun:test";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";

/** A page in a context of its own, and the things it did that it must not do. Hold it with `await using`. */
export interface WatchedPage extends AsyncDisposable {
  readonly page: Page;
  /**
   * The errors and warnings on the console, exceptions, failed requests, and requests to anything but this machine so
   * far.
   */
  readonly complaints: readonly string[];
}

/** Opens an empty page, with Playwright's options for a context: viewport, colorScheme, reducedMotion. */
export type OpenPage = (options?: BrowserContextOptions) => Promise<WatchedPage>;

const launch_ms_max = 30_000;
/** Playwright adds --headless and a new --user-data-dir that goes with the browser. */
const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // Requests that no page made stay on the machine too.
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

/**
 * `describe` for tests in a real Chromium, one for the suite. Without Chromium (CHROMIUM_BIN, else `chromium` on PATH)
 * the suite is skipped with one loud line, or fails if CI is set.
 */
export function browserSuite(name: string, body: (open: OpenPage) => void): void {
  const executablePath = process.env["CHROMIUM_BIN"] ?? Bun.which("chromium");
  if (executablePath !== null) {
    describe(name, () => {
      let browser: Browser;
      beforeAll(async () => {
        browser = await chromium.launch({ executablePath, args: flags, timeout: launch_ms_max });
      }, launch_ms_max);
      afterAll(() => browser?.close());
      body((options) => watchedPage(browser, options));
    });
    return;
  }
  const why = "there is no Chromium: CHROMIUM_BIN is not set and `chromium` is not on PATH (Debian's package has that name).";
  if (!["", "0", "false"].includes(process.env["CI"] ?? "")) {
    describe(name, () => {
      test("needs Chromium", () => {
        throw new Error(`With CI set, this suite must run, but ${why}`);
      });
    });
    return;
  }
  console.warn(`\n!!! SKIPPED: ${name}: ${why}\n`);
  describe.skip(name, () => test("needs Chromium", () => {}));
}

async function watchedPage(browser: Browser, options?: BrowserContextOptions): Promise<WatchedPage> {
  const context = await browser.newContext(options);
  const complaints: string[] = [];
  context.on("request", (request) => {
    if (!isOnThisMachine(request.url())) complaints.push(`request off the machine: ${request.url()}`);
  });
  context.on("requestfailed", (request) => {
    const why = request.failure()?.errorText ?? "";
    // The page itself aborts requests, for example when it is left.
    if (why !== "net::ERR_ABORTED") complaints.push(`request failed: ${request.url()} ${why}`);
  });
  context.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(`console: ${message.text()} ${message.location().url}`);
  });
  context.on("weberror", (error) => complaints.push(`exception: ${error.error().message}`));
  const page = await context.newPage();
  return { page, complaints, [Symbol.asyncDispose]: () => context.close() };
}

function isOnThisMachine(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return ["data:", "blob:", "about:"].includes(protocol) || ["127.0.0.1", "localhost", "[::1]"].includes(hostname);
}
