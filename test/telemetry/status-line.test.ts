import { expect, test } from "bun:test";
import { progressBar, figuresLine, StatusLine } from "../../src/telemetry/status-line.ts";

/** The text that a terminal shows after this was written to it: `\r\x1b[K` empties the cursor's line. */
const screen = (written: readonly string[]) =>
  written
    .join("")
    .split("\n")
    .map((line) => line.slice(line.lastIndexOf("\x1b[K") + 1).replace(/^\[K/, ""));

function terminal(columns = 80) {
  const written: string[] = [];
  return {
    status: new StatusLine(
      (text) => written.push(text),
      () => columns,
    ),
    written,
  };
}

test("stays below the log's lines, and is written only when it changes", () => {
  const { status, written } = terminal();
  status.line("one\n");
  status.show("10 %");
  status.line("two\n");
  status.show("20 %");
  status.show("20 %");
  expect(screen(written)).toEqual(["one", "two", "20 %"]);
  expect(written).toHaveLength(4);
  status.show("");
  status.line("three\n");
  expect(screen(written)).toEqual(["one", "two", "three", ""]);
});

test("is cut to the terminal's width, so that it never wraps", () => {
  const { status, written } = terminal(10);
  status.show("0123456789abc");
  expect(screen(written)).toEqual(["012345678"]);
});

test("a bar tells how far, how fast and how long", () => {
  expect(progressBar("orders", 1_250, 5_000, 500, 8)).toBe("orders ██████░░░░░░░░░░░░░░░░░░ 1,250 of 5,000, 500/s, 8 s left");
  expect(progressBar("orders", 0, 5_000, 0, 0)).toBe("orders ░░░░░░░░░░░░░░░░░░░░░░░░ 0 of 5,000");
  expect(progressBar("orders", 0, 0, 0, 0)).toStartWith("orders ░");
});

test("how it stands fits in a line", () => {
  expect(figuresLine({ orders: 12_345, applied_per_s: 249.6, lag: 0 })).toBe("12,345 orders · 250/s · lag 0");
  expect(figuresLine({ orders: undefined, applied_per_s: 0, lag: 1_000 })).toBe("– orders · 0/s · lag 1,000");
});
