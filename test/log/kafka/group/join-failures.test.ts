import { expect, test } from "bun:test";
import { sleepNoting, whyNotJoined } from "../../../../src/log/kafka/group/join-failures.ts";
import { type Clock, systemClock } from "../../../../src/system/clock.ts";

const SESSION_MS = 10_000;
const why = (type: string | undefined, stood_ms: number): string =>
  whyNotJoined({
    group: "g",
    type,
    error: new Error("closed"),
    unreachable: "",
    stood_ms,
    session_timeout_ms: SESSION_MS,
  });

test.each(["UNKNOWN_MEMBER_ID", "ILLEGAL_GENERATION"])(
  "a member that the group gave up (%s) is told that nothing is to be done",
  (type) => {
    expect(why(type, 0)).toBe(
      `${type}: the group g did not hear from this process in time and gave its partitions to others. It joins again by itself; nothing is to be done.`,
    );
  },
);

test("a process that stood still for longer than its session says so, also where its connection broke meanwhile", () => {
  for (const type of ["UNKNOWN_MEMBER_ID", undefined])
    expect(why(type, 25_100)).toMatch(/^This process stood still for 25 s, .* nothing is to be done\.$/);
  expect(why(undefined, SESSION_MS - 1)).toBe("The group g cannot be joined: closed.");
  expect(why("GROUP_AUTHORIZATION_FAILED", 25_100)).toMatch(/^The group g cannot be joined: .* grant this user READ/);
});

test("a sleep tells how much longer it took than it should", async () => {
  let now_ms = 0;
  const clock = (took_ms: number): Clock => ({
    ...systemClock,
    now_ms: () => now_ms,
    sleep: async () => void (now_ms += took_ms),
  });
  const { signal } = new AbortController();
  expect(await sleepNoting(clock(25_500), 500, signal)).toBe(25_000);
  expect(await sleepNoting(clock(300), 500, signal)).toBe(0);
});
