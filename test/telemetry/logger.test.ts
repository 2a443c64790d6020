import { describe, expect, test } from "bun:test";
import { AppError } from "../../src/errors.ts";
import { createLogger, type LoggerOptions } from "../../src/telemetry/logger.ts";

const capture = (options: Partial<LoggerOptions>) => {
  const lines: string[] = [];
  const logger = createLogger({ level: "info", format: "json", terminal: false, ...options, write: (line) => lines.push(line) });
  return { logger, lines };
};

const hostile = [
  'end\n{"level":"error","msg":"forged"}',
  "[12:00:00.000] INFO: forged",
  "a\r\nb",
  "\u001b[2J\u001b[31mred\u0007",
  "\u009b31m",
  "\u2028\u2029\u0085",
  "\u202etxt.exe",
  'quote " and \\ and \\n',
  "\u0000\u007f\ud800",
];

// Characters that any reader may take for a line's end, move a terminal's cursor or turn the writing direction.
// oxlint-disable-next-line no-control-regex
const dangerous = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;

for (const format of ["json", "pretty"] as const) {
  describe(`a user's string in a ${format} line`, () => {
    test.each(hostile)("%j stays inside it", (text) => {
      const { logger, lines } = capture({ format });
      logger.info({ orderId: text, nested: { list: [text] }, [`key ${text}`]: { [text]: 1 } }, `got ${text}`);
      logger.warn("%s", text);
      expect(lines).toHaveLength(2);
      for (const line of lines) {
        expect(line.endsWith("\n")).toBe(true);
        expect(line.slice(0, -1)).not.toMatch(dangerous);
      }
    });
  });
}

test("a JSON line gives the string back unchanged", () => {
  const { logger, lines } = capture({});
  for (const text of hostile) logger.info({ text }, text);
  expect(lines.map((line) => JSON.parse(line).text)).toEqual(hostile);
});

test.each(["json", "pretty"] as const)("an error's message in a %s line begins no line of its own", (format) => {
  const { logger, lines } = capture({ format });
  logger.error(
    { err: new AppError("INTERNAL", "bad\n[12:00:00.000] ERROR: forged\u001b[31m", { partition: 3 }, new Error("cause")) },
    "failed",
  );
  const text = lines.join("");
  expect(text).toContain("cause");
  expect(text).toContain("INTERNAL");
  // The first line is followed only by the block's own, indented lines.
  for (const line of text.trimEnd().split("\n").slice(1)) expect(line).toMatch(/^ {4}/);
  expect(text.replaceAll("\n", "")).not.toMatch(dangerous);
});

test("auto is pretty on a terminal and JSON elsewhere", () => {
  const onTerminal = capture({ format: "auto", terminal: true });
  onTerminal.logger.info("hello");
  expect(onTerminal.lines[0]).toMatch(/INFO.*hello/);
  const elsewhere = capture({ format: "auto", terminal: false });
  elsewhere.logger.info("hello");
  expect(JSON.parse(elsewhere.lines[0] ?? "")).toMatchObject({ level: "info", msg: "hello" });
});

test.each(["json", "pretty"] as const)("secrets are in no %s line, by name or by value", (format) => {
  const { logger, lines } = capture({ format, secrets: ['hunter"22'] });
  logger.info({ password: "one-secret", kafka: { sasl: { password: "two-secret", username: "u" } } }, "settings");
  logger.error({ err: new Error('login with hunter"22 refused') }, 'hunter"22');
  const text = lines.join("");
  expect(text).toContain("[redacted]");
  expect(text).not.toMatch(/one-secret|two-secret|hunter/);
});

test("a level below the configured one is not written", () => {
  const { logger, lines } = capture({ level: "warn" });
  logger.info("no");
  logger.warn("yes");
  expect(lines).toHaveLength(1);
});
