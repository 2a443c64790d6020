import { describe, expect, test } from "bun:test";
import { AppError, isAppError } from "../../src/errors.ts";
import { FAILURES_MAX, OPEN_MS } from "../../src/fleet/breaker.ts";
import { Fleet, HOPS_MS_MAX, type Question } from "../../src/fleet/fleet.ts";
import { goodJson } from "../../src/fleet/peer-problem.ts";
import type { PeerAnswer, PeerTransport } from "../../src/fleet/peer-transport.ts";
import { HttpRequest } from "../../src/http/http-request.ts";
import { problemResponse } from "../../src/http/problem.ts";
import { systemClock } from "../../src/system/clock.ts";
import { createLogger } from "../../src/telemetry/logger.ts";

const logger = createLogger({ level: "silent", format: "json" });

/** What each member answers with: partition → text, or an error for the whole request. */
type Answers = Record<string, Readonly<Record<number, string>> | AppError | "nothing">;

function fleetOf(owners: Readonly<Record<string, readonly number[]>>, answers: Answers, held: readonly number[] = []) {
  const asked: string[] = [];
  const transport: PeerTransport = async ({ url }) => {
    const { hostname, searchParams } = new URL(url);
    asked.push(`${hostname} ${searchParams.get("partitions")}`);
    const answer = answers[hostname] ?? "nothing";
    if (answer === "nothing") throw new Error("connection refused");
    if (isAppError(answer)) return answered(problemResponse(answer, logger));
    return answered(Response.json(answer));
  };
  const fleet = new Fleet({
    secret: "s".repeat(32),
    topic: "orders",
    session_timeout_ms: 10_000,
    transport,
    clock: systemClock,
    logger,
  });
  fleet.begin("log-1");
  const assign = (to: Readonly<Record<string, readonly number[]>>) =>
    fleet.assigned({
      memberId: "me",
      partitions: to["me"] ?? [],
      standbys: [],
      members: Object.entries(to).map(([id, partitions]) => ({
        id,
        endpoint: id === "untold" ? undefined : `http://${id}`,
        partitions,
        standbys: [],
      })),
    });
  assign(owners);
  const here = new Set(held);
  const question: Question<string> = {
    isHere: (partition) => here.has(partition),
    here: async (partitions) => new Map(partitions.map((partition) => [partition, "here"])),
    request: (partitions) => ({ path: `/fleet/question?partitions=${partitions.join(",")}` }),
    read: (answer) =>
      new Map(Object.entries(goodJson(answer) as Record<string, string>).map(([partition, told]) => [Number(partition), told])),
  };
  const ask = async (...partitions: number[]) => {
    const told = await fleet.ask(partitions, question, systemClock.now_ms() + HOPS_MS_MAX);
    return Object.fromEntries([...told].map(([partition, one]) => [partition, isAppError(one) ? one.code : one]));
  };
  return { fleet, ask, asked, assign, here, answers };
}

async function answered(response: Response): Promise<PeerAnswer> {
  return { status: response.status, headers: response.headers, text: await response.text() };
}

const gone = new AppError("PARTITION_ELSEWHERE", "It moved.");

describe("partitions", () => {
  test("are asked of those who hold them, at once, one request to each", async () => {
    const { ask, asked } = fleetOf({ me: [0], b: [1, 3], c: [2] }, { b: { 1: "b1", 3: "b3" }, c: { 2: "c2" } }, [0]);
    expect(await ask(0, 1, 2, 3)).toEqual({ 0: "here", 1: "b1", 2: "c2", 3: "b3" });
    expect(asked.toSorted()).toEqual(["b 1,3", "c 2"]);
  });

  test("of which the group does not tell who holds them, or that nobody holds yet, are told as that", async () => {
    const { ask } = fleetOf({ me: [0], untold: [1] }, {}, [0]);
    expect(await ask(1, 2)).toEqual({ 1: "PARTITION_ELSEWHERE", 2: "CATCHING_UP" });
  });

  test("that moved are asked once more of who holds them after the next assignment", async () => {
    const { ask, asked, assign } = fleetOf({ b: [1, 2], c: [] }, { b: { 1: "b1" }, c: { 2: "c2" } });
    setTimeout(() => assign({ b: [1], c: [2] }), 50);
    expect(await ask(1, 2)).toEqual({ 1: "b1", 2: "c2" });
    expect(asked).toEqual(["b 1,2", "c 2"]);
  });

  test("that moved here are answered from here", async () => {
    const { ask, assign, here } = fleetOf({ b: [1] }, { b: gone });
    setTimeout(() => (here.add(1), assign({ me: [1] })), 50);
    expect(await ask(1)).toEqual({ 1: "here" });
  });

  test("are asked no third time", async () => {
    const { ask, asked, assign } = fleetOf({ b: [1], c: [] }, { b: gone, c: gone });
    setTimeout(() => assign({ b: [], c: [1] }), 50);
    setTimeout(() => assign({ b: [1], c: [] }), 150);
    expect(await ask(1)).toEqual({ 1: "OWNER_UNREACHABLE" });
    expect(asked).toEqual(["b 1", "c 1"]);
  });

  test.each<[string, AppError | "nothing"]>([
    ["whose owner does not answer", "nothing"],
    ["whose owner says that it has left", gone],
    ["whose owner is stopping", new AppError("SHUTTING_DOWN", "The service is stopping.")],
  ])("%s, and that nobody else is given, are told as not reached", async (_, answer) => {
    const { ask } = fleetOf({ b: [1] }, { b: answer });
    expect(await ask(1)).toEqual({ 1: "OWNER_UNREACHABLE" });
  });

  test("whose owner has not answered for some time are not waited for", async () => {
    const { ask } = fleetOf({ b: [1] }, { b: "nothing" });
    await Promise.all(Array.from({ length: FAILURES_MAX }, () => ask(1)));
    const began_ms = performance.now();
    await Bun.sleep(OPEN_MS);
    // The first of these tries it again.
    for (let n = 0; n < 5; n++) expect(await ask(1)).toEqual({ 1: "OWNER_UNREACHABLE" });
    expect(performance.now() - began_ms).toBeLessThan(OPEN_MS + 500);
  });

  test("whose owner cannot tell now are told as it says, at once", async () => {
    const { ask, asked } = fleetOf({ b: [1] }, { b: new AppError("OVERLOADED", "Too many.") });
    expect([await ask(1), asked]).toEqual([{ 1: "OVERLOADED" }, ["b 1"]]);
  });

  test("are not told as what only members say to each other, whatever a peer of another version answers", async () => {
    for (const code of ["NOT_FOUND", "INVALID_FIELD", "METHOD_NOT_ALLOWED"] as const) {
      const { ask, asked } = fleetOf({ b: [1] }, { b: new AppError(code, "No.", { allow: "GET" }) });
      expect([await ask(1), asked]).toEqual([{ 1: "OWNER_UNREACHABLE" }, ["b 1"]]);
    }
  });
});

test("a request of another member is admitted until its asker stops waiting", () => {
  const { fleet } = fleetOf({ me: [0] }, {});
  const refused = HttpRequest.of(new Request("http://x/fleet/question"));
  expect(() => fleet.admit(refused)).toThrow("Only members of a fleet");
});
