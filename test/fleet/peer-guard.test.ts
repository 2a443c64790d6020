import { describe, expect, test } from "bun:test";
import { isAppError } from "../../src/errors.ts";
import { FleetConcerns } from "../../src/fleet/fleet-concerns.ts";
import { Members } from "../../src/fleet/members.ts";
import { PeerGuard } from "../../src/fleet/peer-guard.ts";
import { RareWarnings } from "../../src/fleet/rare-warnings.ts";
import { HttpRequest } from "../../src/http/http-request.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { ManualClock } from "../support/manual-clock.ts";

const SECRET = "0123456789abcdef".repeat(4);

function guard({ secret = SECRET, topic = "orders", logId = "log-1", isBegun = true, isAlone = false } = {}) {
  const logged: string[] = [];
  const clock = new ManualClock();
  const logger = createLogger({ level: "info", format: "json", write: (line) => logged.push(line) });
  const concerns = new FleetConcerns(topic, new Members(clock), clock, 10_000);
  const made = new PeerGuard(isAlone ? undefined : secret, topic, new RareWarnings(clock, logger), concerns);
  if (isBegun) made.begin(logId);
  return { guard: made, logged, clock };
}

const admitted = (by: PeerGuard, headers: Readonly<Record<string, string>>, self = "me"): number | string => {
  try {
    return by.admit(HttpRequest.of(new Request("http://x/fleet/orders", { headers })), self);
  } catch (e) {
    if (!isAppError(e)) throw e;
    return e.code;
  }
};

describe("a hop", () => {
  test("of a member is let in, and tells how long its asker waits", () => {
    const { guard: one } = guard();
    expect(admitted(one, guard().guard.headers("other", 1_234.9)!)).toBe(1_234);
    expect(admitted(one, guard().guard.headers("other", -5)!)).toBe(0);
    expect(admitted(one, guard().guard.headers(undefined, 1_000_000)!)).toBe(10_000);
    expect(admitted(one, { ...guard().guard.headers("other", 1), "fleet-deadline-ms": "soon" })).toBe(10_000);
  });

  test.each([
    ["another secret", { secret: "f".repeat(64) }],
    ["another topic", { topic: "payments" }],
    ["another log", { logId: "log-2" }],
  ])("of a member of a fleet with %s is refused, and it is said what to do", (_, others) => {
    const { guard: one, logged, clock } = guard();
    const headers = guard(others).guard.headers("other", 1)!;
    for (let n = 0; n < 5; n++) expect(admitted(one, headers)).toBe("PEER_TOKEN_WRONG");
    expect(logged).toHaveLength(1);
    expect(logged[0]).toContain("PEER_TOKEN_FILE");
    expect(logged[0]).not.toContain(headers["fleet-token"]!);
    clock.leap(60_000);
    admitted(one, headers);
    expect(logged).toHaveLength(2);
  });

  test("does not carry the secret itself", () => {
    expect(Object.values(guard().guard.headers("me", 1)!).join()).not.toContain(SECRET);
  });

  test("without a token, or while this member does not know its log, is refused", () => {
    expect(admitted(guard().guard, {})).toBe("PEER_TOKEN_NEEDED");
    const { guard: unbegun } = guard({ isBegun: false });
    expect([unbegun.headers("me", 1), admitted(unbegun, guard().guard.headers("a", 1)!)]).toEqual([undefined, "CATCHING_UP"]);
    const { guard: alone } = guard({ isAlone: true });
    expect([alone.headers("me", 1), admitted(alone, {})]).toEqual([undefined, "CATCHING_UP"]);
  });

  test("that comes back to who sent it is refused as one for another", () => {
    const { guard: one, logged } = guard();
    expect(admitted(one, guard().guard.headers("me", 1)!)).toBe("PARTITION_ELSEWHERE");
    expect(logged.join()).toContain("ADVERTISED_URL");
  });
});
