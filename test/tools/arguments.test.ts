import { expect, test } from "bun:test";
import { isAppError } from "../../src/errors.ts";
import {
  readCount,
  readId,
  readList,
  readOptions,
  readOrders,
  readTime,
  readTopic,
  readWindow,
} from "../../src/tools/arguments.ts";

const NOW_MS = Date.parse("2026-11-25T12:00:00Z");
const KINDS = { from: "text", to: "text", orders: "text", yes: "flag" } as const;

/** The sentence that a wrong option is refused with. */
function refusal(read: () => unknown): string {
  try {
    read();
  } catch (e) {
    if (isAppError(e, "OPTION_INVALID")) return e.message;
    throw e;
  }
  throw new Error("It was taken.");
}

test("options are read by name", () => {
  expect({ ...readOptions(["--from", "a", "--yes", "--orders=1,2"], KINDS) }).toMatchObject({
    from: "a",
    yes: true,
    orders: "1,2",
  });
});

test.each([[["--until", "x"]], [["--from"]], [["--from="]], [["--yes=1"]], [["stray"]], [["--from", "--yes"]]])(
  "%j is refused: there is no such option, or it lacks its value, or takes none",
  (args) => {
    expect(refusal(() => readOptions(args, KINDS))).not.toBe("");
  },
);

test("a time that begins with a minus needs no equals sign", () => {
  expect(readOptions(["--from", "-1h", "--to", "-5m"], KINDS)).toMatchObject({ from: "-1h", to: "-5m" });
});

test("times are RFC 3339, without a zone in UTC, or back from now", () => {
  expect(readTime("from", undefined, NOW_MS)).toBeUndefined();
  expect(readTime("from", "2026-11-25T12:00:00.5+01:00", NOW_MS)).toBe(Date.parse("2026-11-25T11:00:00.500Z"));
  expect(readTime("from", "2026-11-25T12:00:00", NOW_MS)).toBe(NOW_MS);
  expect(readTime("from", "-90s", NOW_MS)).toBe(NOW_MS - 90_000);
  expect(readTime("from", "-15m", NOW_MS)).toBe(NOW_MS - 900_000);
  expect(readTime("from", "-1h", NOW_MS)).toBe(NOW_MS - 3_600_000);
  expect(readTime("from", "-2d", NOW_MS)).toBe(NOW_MS - 172_800_000);
  for (const bad of ["yesterday", "-1w", "1h", "2026-02-30T00:00:00Z", "2026-11-25", "1795613603669"]) {
    expect(refusal(() => readTime("to", bad, NOW_MS))).toStartWith(`--to is ${bad}; it must be a time`);
  }
});

test("a window that is empty is refused", () => {
  expect(readWindow("-2h", "-1h", NOW_MS)).toEqual({ from_ms: NOW_MS - 7_200_000, to_ms: NOW_MS - 3_600_000 });
  expect(refusal(() => readWindow("-1h", "-1h", NOW_MS))).toBe("--from must be before --to.");
});

test("order ids are those of the keys, each once", () => {
  expect(readOrders("ORD-1, 2,ORD-2,1")).toEqual(["ORD-1", "ORD-2"]);
});

test("what could not be an order id is refused", () => {
  expect(refusal(() => readOrders("ORD-1,ORD-x"))).toStartWith("--orders has ORD-x;");
});

test("a list has 1 to 1000 names, each once", () => {
  expect(readList("types", "A,B,A")).toEqual(["A", "B"]);
  expect(refusal(() => readList("types", "A,,B"))).toContain("1 to 1000 names");
  expect(refusal(() => readList("types", Array.from({ length: 1_001 }, (_, i) => `t${i}`).join(",")))).toContain("1 to 1000");
  expect(refusal(() => readList("types", 'A"B'))).toContain('"A\\"B"');
});

test("a topic has a name that Kafka takes", () => {
  expect(readTopic("target", "a.b-c_d")).toBe("a.b-c_d");
  for (const bad of ["", ".", "..", "a:b", "a/b", "x".repeat(250)])
    expect(refusal(() => readTopic("target", bad))).toContain("--target");
});

test("a count is an integer within its bounds", () => {
  expect(readCount("rate", "500", 1_000)).toBe(500);
  for (const bad of ["0", "1001", "-1", "1.5", "many"])
    expect(refusal(() => readCount("rate", bad, 1_000))).toContain("from 1 to 1000");
});

test("an id can be part of a file's name; one that is not given begins with the time", () => {
  expect(readId(undefined, NOW_MS, "abcdef")).toBe("20261125T120000-abcd");
  expect(readId("night-1", NOW_MS, "abcdef")).toBe("night-1");
  for (const bad of ["../x", "a b", ".hidden", "x".repeat(65)]) expect(refusal(() => readId(bad, NOW_MS, ""))).toContain("--id");
});
