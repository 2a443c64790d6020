import { expect, test } from "bun:test";
import type { AppError } from "../../src/errors.ts";
import { type AppliedFrom, appliedHop, earlierState } from "../../src/fleet/earlier-state.ts";
import type { Fleet } from "../../src/fleet/fleet.ts";
import { HttpRequest } from "../../src/http/http-request.ts";

/** A fleet in which another member answers with what it has, or as `answer` says. */
const fleetOf = (appliedFrom: () => AppliedFrom, endpoint: string | undefined = "http://a", answer?: object): Fleet =>
  ({
    members: {
      self: "me",
      all: [
        { id: "me", endpoint: "http://me" },
        { id: "a", endpoint },
      ],
    },
    send: async (_: unknown, { path }: { path: string }) => {
      if (answer !== undefined) return answer;
      const hop = appliedHop({ admit: () => 0 } as unknown as Fleet, appliedFrom);
      const response = await hop.handle(HttpRequest.of(new Request(`http://a${path}`)));
      return { status: response.status, text: await response.text(), headers: response.headers };
    },
  }) as unknown as Fleet;

const told = (fleet: Fleet, startOffset: number) =>
  earlierState(fleet, 3, startOffset).catch((e: AppError) => [e.code, e.message]);
const from = (...entries: [number, number][]) => fleetOf(() => new Map(entries));

test("another member has an earlier state if it applied records from before the log's start", async () => {
  expect(await told(from([3, 0]), 5)).toBe("http://a");
  expect(await told(from([3, 4], [2, 0]), 5)).toBe("http://a");
  expect(await told(from([3, 5], [2, 0]), 5)).toBeUndefined();
  expect(await told(from([2, 0]), 5)).toBeUndefined();
});

test("who does not tell has not said that it has nothing", async () => {
  const silent = (detail: string) => ["OWNER_UNREACHABLE", expect.stringContaining(detail)];
  const failed = { failure: "no-answer", detail: "http://a does not answer." };
  expect(
    await told(
      fleetOf(() => new Map(), "http://a", failed),
      5,
    ),
  ).toEqual(silent("does not answer"));
  const older = { status: 404, headers: new Headers(), text: '{"code":"NOT_FOUND","detail":"There is no such path."}' };
  expect(
    await told(
      fleetOf(() => new Map(), "http://a", older),
      5,
    ),
  ).toEqual(silent("http://a does not tell: There is no such"));
  const nameless = { members: { self: "me", all: [{ id: "a", endpoint: undefined }] } } as unknown as Fleet;
  expect(await told(nameless, 5)).toEqual(silent("The member a does not say where"));
  const alone = { members: { self: undefined, all: [] } } as unknown as Fleet;
  expect(await told(alone, 5)).toEqual(silent("The group has not told yet"));
  const strange = { status: 200, headers: new Headers(), text: "{}" };
  expect(
    await told(
      fleetOf(() => new Map(), "http://a", strange),
      5,
    ),
  ).toEqual(silent("http://a does not tell"));
});
