import { describe, expect, test } from "bun:test";
import { FAILURES_MAX, OPEN_MS } from "../../src/fleet/breaker.ts";
import { FleetConcerns } from "../../src/fleet/fleet-concerns.ts";
import { type FailedHop, HOPS_MAX, HOPS_TO_PEER_MAX, Hops } from "../../src/fleet/hops.ts";
import { Members } from "../../src/fleet/members.ts";
import { PeerGuard } from "../../src/fleet/peer-guard.ts";
import type { PeerAnswer, PeerRequest, PeerTransport } from "../../src/fleet/peer-transport.ts";
import { RareWarnings } from "../../src/fleet/rare-warnings.ts";
import { RETRIES_AT_ONCE_MAX } from "../../src/fleet/retry-budget.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { ManualClock } from "../support/manual-clock.ts";

const PEER = { id: "b", url: "http://b:8001" };
const answer = (status: number, body: object = {}): PeerAnswer => ({
  status,
  headers: new Headers(),
  text: JSON.stringify(body),
});

function hops(transport: PeerTransport) {
  const clock = new ManualClock();
  const logged: string[] = [];
  const logger = createLogger({ level: "info", format: "json", write: (line) => logged.push(line) });
  const warnings = new RareWarnings(clock, logger);
  const concerns = new FleetConcerns("orders", new Members(clock), clock, 10_000);
  const guard = new PeerGuard("s".repeat(32), "orders", warnings, concerns);
  guard.begin("log-1");
  const outcomes: string[] = [];
  const meter = { hop: (outcome: string) => outcomes.push(outcome), retried: () => outcomes.push("retried") };
  const requests: PeerRequest[] = [];
  const seen: PeerTransport = (request, signal) => (requests.push(request), transport(request, signal));
  const made = new Hops({ transport: seen, guard, warnings, concerns, clock, logger, meter });
  const send = (method: "GET" | "POST" = "GET", wait_ms = 1_000) =>
    made.send(PEER, { method, path: "/fleet/x?y=1" }, "a", wait_ms);
  return { made, send, clock, logged, outcomes, requests };
}

const failureOf = (got: PeerAnswer | FailedHop): string => ("failure" in got ? got.failure : String(got.status));
const refused = () => Promise.reject(new Error("connection refused"));

describe("a hop", () => {
  test("carries token, asker, and how long is waited, less what an answer takes on its way", async () => {
    const { send, requests } = hops(() => Promise.resolve(answer(200)));
    expect(failureOf(await send())).toBe("200");
    expect(requests).toEqual([
      {
        method: "GET",
        url: "http://b:8001/fleet/x?y=1",
        headers: { "fleet-token": expect.any(String), "fleet-from": "a", "fleet-deadline-ms": "950" },
      },
    ]);
  });

  test("has no answer once its time is over, and the peer is no longer asked for it", async () => {
    let isLeft = false;
    const { send, clock } = hops((_, signal) => {
      signal.addEventListener("abort", () => (isLeft = true));
      return new Promise(() => undefined);
    });
    const sent = send();
    await clock.pass(1_000);
    expect(await sent).toMatchObject({
      failure: "no-answer",
      detail: "http://b:8001 does not answer: nothing came for 1000 ms.",
    });
    expect(isLeft).toBe(true);
  });

  test("is tried once more if its connection is lost, unless it changes something", async () => {
    let isLost = true;
    const { send, outcomes, requests } = hops(() => (isLost ? ((isLost = false), refused()) : Promise.resolve(answer(200))));
    expect(failureOf(await send())).toBe("200");
    expect(outcomes).toEqual(["retried", "answered"]);
    isLost = true;
    expect([failureOf(await send("POST")), requests.length]).toEqual(["no-answer", 3]);
  });

  test("counts as answered whatever the status, but for a token that is refused", async () => {
    const { send } = hops(() => Promise.resolve(answer(503, { code: "CATCHING_UP", detail: "Later." })));
    for (let n = 0; n < 2 * FAILURES_MAX; n++) expect(failureOf(await send())).toBe("503");
    const { send: sendRefused, logged } = hops(() => Promise.resolve(answer(403, { code: "PEER_TOKEN_WRONG", detail: "No." })));
    for (let n = 0; n < 2 * FAILURES_MAX; n++)
      expect(await sendRefused()).toMatchObject({ failure: "refused", detail: expect.stringContaining("PEER_TOKEN_FILE") });
    expect(logged).toHaveLength(1);
    const { send: sendOperator } = hops(() => Promise.resolve(answer(403, { code: "OPERATOR_ONLY", detail: "No." })));
    expect(failureOf(await sendOperator())).toBe("403");
  });
});

describe("a peer that does not answer", () => {
  test("is spared after some hops, tried by one after a while, and what happens is told once", async () => {
    let isAway = true;
    const { send, clock, logged, requests, made } = hops(() => (isAway ? refused() : Promise.resolve(answer(200))));
    for (let n = 0; n < FAILURES_MAX; n++) expect(failureOf(await send("POST"))).toBe("no-answer");
    for (let n = 0; n < 50; n++) expect(failureOf(await send())).toBe("breaker-open");
    expect([requests.length, made.breakerOf(PEER)]).toEqual([FAILURES_MAX, "open"]);
    clock.leap(OPEN_MS);
    expect(failureOf(await send("POST"))).toBe("no-answer");
    isAway = false;
    expect(failureOf(await send())).toBe("breaker-open");
    clock.leap(OPEN_MS);
    expect([failureOf(await send()), failureOf(await send()), made.breakerOf(PEER)]).toEqual(["200", "200", "closed"]);
    expect(logged.map((line) => (JSON.parse(line) as { level: string }).level)).toEqual(["warn", "info"]);
    expect(logged[0]).toContain("http://b:8001 does not answer (connection refused)");
  });

  test("is not spared while it answers others, however many wait in vain", async () => {
    const { made, send, clock } = hops(({ url }) =>
      url.endsWith("/slow") ? new Promise(() => undefined) : Promise.resolve(answer(200)),
    );
    const slow = Array.from({ length: 4 * FAILURES_MAX }, () => made.send(PEER, { path: "/slow" }, "a", 1_000));
    await clock.pass(500);
    expect(failureOf(await send())).toBe("200");
    await clock.pass(500);
    expect((await Promise.all(slow)).map(failureOf)).toEqual(slow.map(() => "no-answer"));
    expect([made.breakerOf(PEER), failureOf(await send())]).toEqual(["closed", "200"]);
  });

  test("costs no more retries than are allowed for", async () => {
    const peers = Array.from({ length: 10 }, (_, n) => ({ id: String(n), url: `http://${n}` }));
    const { made, requests } = hops(refused);
    for (const peer of peers) for (let n = 0; n < FAILURES_MAX; n++) await made.send(peer, { path: "/" }, "a", 1_000);
    const sent = peers.length * FAILURES_MAX;
    expect(requests.length).toBeLessThanOrEqual(sent + RETRIES_AT_ONCE_MAX + sent / 10);
  });
});

test("there are only so many hops at a time, to one peer and in all", async () => {
  const gate = Promise.withResolvers<PeerAnswer>();
  const { made, send, requests } = hops(() => gate.promise);
  const open = Array.from({ length: HOPS_TO_PEER_MAX }, () => send());
  expect(failureOf(await send())).toBe("full");
  for (let n = HOPS_TO_PEER_MAX; n < HOPS_MAX; n++)
    open.push(made.send({ id: String(n), url: `http://${n}` }, { path: "/" }, "a", 1_000));
  expect(failureOf(await made.send({ id: "c", url: "http://c" }, { path: "/" }, "a", 1_000))).toBe("full");
  gate.resolve(answer(200));
  expect((await Promise.all(open)).map(failureOf)).toEqual(open.map(() => "200"));
  expect([failureOf(await send()), requests.length]).toEqual(["200", HOPS_MAX + 1]);
});

test("what is known of a peer is forgotten once it has left", async () => {
  const { made, send } = hops(refused);
  for (let n = 0; n < FAILURES_MAX; n++) await send("POST");
  made.keep([PEER]);
  expect(made.breakerOf(PEER)).toBe("open");
  made.keep([]);
  expect(made.breakerOf(PEER)).toBe("closed");
});
