import { expect, test } from "bun:test";
import { FleetConcerns, REFUSAL_MS_MAX, SHARED_SESSIONS_MIN } from "../../src/fleet/fleet-concerns.ts";
import { Members } from "../../src/fleet/members.ts";
import { ManualClock } from "../support/manual-clock.ts";

const SESSION_MS = 10_000;
const SHARED_MS_MIN = SHARED_SESSIONS_MIN * SESSION_MS;

/** The concerns of the member `me` in a fleet of these: id → URL. */
function concernsIn(urls: Readonly<Record<string, string | undefined>>) {
  const clock = new ManualClock();
  const members = new Members(clock);
  const concerns = new FleetConcerns("orders", members, clock, SESSION_MS);
  const assign = (to: Readonly<Record<string, string | undefined>>) => {
    const all = Object.entries(to).map(([id, endpoint]) => ({ id, endpoint, partitions: [], standbys: [] }));
    members.assigned({ memberId: "me", partitions: [], standbys: [], members: all });
    concerns.keep(all);
  };
  assign(urls);
  const details = () => concerns.all.map(({ code, detail }) => `${code} ${detail}`);
  return { concerns, clock, assign, details };
}

test("members that say the same URL are named by each member, and are no concern once they say others", () => {
  const { assign, clock, concerns, details } = concernsIn({
    me: "http://a",
    b: "http://a",
    c: "http://c",
    d: undefined,
    e: undefined,
  });
  clock.leap(SHARED_MS_MIN);
  expect(concerns.all[0]?.since).toBe(new Date(clock.wall_ms() - SHARED_MS_MIN).toISOString());
  expect(details()).toEqual([
    expect.stringContaining("url-shared 2 members say that they are reached at http://a: this one, b."),
  ]);
  expect(concerns.findings).toEqual([
    { code: "url-shared", isFound: true },
    { code: "peer-tokens-differ", isFound: false },
  ]);
  assign({ me: "http://me", b: "http://a", c: "http://a" });
  clock.leap(SHARED_MS_MIN);
  expect(details()).toEqual([expect.stringContaining("http://a: b, c.")]);
  assign({ me: "http://me", b: "http://b", c: "http://c" });
  expect(details()).toEqual([]);
});

test("a member that is started again without its state is no concern beside what it was before, until that one's session must be over", () => {
  const { assign, clock, details } = concernsIn({ me: "http://me", b: "http://b" });
  clock.leap(SHARED_MS_MIN);
  for (const [before, after] of [
    ["b", "b2"],
    ["b2", "b3"],
  ] as const) {
    assign({ me: "http://me", [before]: "http://b", [after]: "http://b" });
    clock.leap(SHARED_MS_MIN - 1);
    expect(details()).toEqual([]);
  }
  clock.leap(1);
  expect(details()).toEqual([expect.stringContaining("http://b: b2, b3.")]);
});

test("a peer that refuses, or is refused, is a concern until a hop is let in, it leaves, or long after the last refusal", () => {
  const { assign, concerns, clock, details } = concernsIn({ me: "http://me", b: "http://b", c: "http://c" });
  concerns.asked("http://b", true);
  concerns.askedBy("c", true);
  expect(details()).toEqual([
    expect.stringContaining("The member at http://b refuses this member's token"),
    expect.stringContaining("This member refuses the token of the member at http://c"),
  ]);
  expect(concerns.all.every(({ code, since }) => code === "peer-tokens-differ" && since !== undefined)).toBe(true);
  concerns.asked("http://b", false);
  expect(details()).toHaveLength(1);
  clock.leap(REFUSAL_MS_MAX - 1);
  expect(details()).toHaveLength(1);
  clock.leap(1);
  expect(details()).toEqual([]);
  concerns.askedBy("c", true);
  assign({ me: "http://me", b: "http://b" });
  assign({ me: "http://me", b: "http://b", c: "http://c" });
  expect(details()).toEqual([]);
});

test("a stranger's wrong token is none, since anybody may send one", () => {
  const { concerns, assign, details } = concernsIn({ me: "http://me", b: "http://b" });
  concerns.askedBy("stranger", true);
  expect(details()).toEqual([]);
  assign({ me: "http://me", b: "http://b", stranger: "http://c" });
  expect(details()).toEqual([]);
});
