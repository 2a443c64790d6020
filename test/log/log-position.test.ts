import { expect, test } from "bun:test";
import { formatLogPosition, parseLogPosition } from "../../src/log/log-position.ts";

test.each(["0:0", "3:1712", "999999999:9007199254740990"])("%s is a position, and is written as it was read", (text) => {
  const position = parseLogPosition(text);
  expect(position && formatLogPosition(position)).toBe(text);
});

test.each(["", "3", "3:", ":17", "3:-1", " 3:17", "3:17 ", "3:1.5", "1000000000:0", "0:9007199254740991"])(
  "%j is none",
  (text) => {
    expect(parseLogPosition(text)).toBeUndefined();
  },
);
