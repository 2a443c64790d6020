import { expect, test } from "bun:test";
import { readConfig } from "../../src/config/config.ts";
import { checkMemberPorts, memberCount } from "../../src/members/member-count.ts";

const asked = (MEMBERS: string) => readConfig({ MEMBERS }).members;

test("MEMBERS is 1 unless it is set; auto is one for each core that the program may use, 64 at most", () => {
  expect(memberCount(readConfig({}).members, 8, "linux")).toBe(1);
  expect(memberCount(asked("3"), 8, "linux")).toBe(3);
  expect(memberCount(asked("auto"), 8, "linux")).toBe(8);
  expect(memberCount(asked("AUTO"), 200, "linux")).toBe(64);
});

test("where the system does not share ports auto is 1, and more is refused with a sentence", () => {
  expect(memberCount(asked("auto"), 8, "darwin")).toBe(1);
  expect(memberCount(asked("1"), 8, "darwin")).toBe(1);
  expect(() => memberCount(asked("2"), 8, "darwin")).toThrow("MEMBERS is 2, but only Linux shares a port among processes.");
});

test.each(["0", "65", "-1", "two", "1.5"])("MEMBERS=%s is refused", (MEMBERS) => {
  expect(() => readConfig({ MEMBERS })).toThrow(`MEMBERS is "${MEMBERS}"; it must be an integer from 1 to 64, or auto.`);
});

test("own ports that there are not, or that all share, are refused with a sentence", () => {
  const shared = { CART_PORT: 8_000, ORDER_PORT: 8_001 };
  expect(() => checkMemberPorts(0, 64, shared)).not.toThrow();
  expect(() => checkMemberPorts(8_002, 4, shared)).not.toThrow();
  expect(() => checkMemberPorts(7_995, 3, shared)).toThrow(
    "own ports are 7995 to 8000, and CART_PORT, which all share, is 8000.",
  );
  expect(() => checkMemberPorts(65_530, 4, shared)).toThrow("own ports are 65530 to 65537, and a port is at most 65535.");
});
