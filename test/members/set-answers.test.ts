import { describe, expect, test } from "bun:test";
import type { MemberView } from "../../src/members/messages.ts";
import { type MemberAnswer, SetAnswers } from "../../src/members/set-answers.ts";
import { ManualClock } from "../support/manual-clock.ts";

const at = (member: number) => `http://127.0.0.1:${9_000 + member}`;
const listening = (member: number, isShared = true): MemberView => ({
  member,
  state: "listening",
  restarts: 0,
  urls: { "order-service": at(member) },
  shared: isShared ? ["order-service"] : ["cart"],
});
const gone = (member: number, state: "waiting" | "ended"): MemberView => ({ member, state, restarts: 2, urls: {}, shared: [] });

const partition = (n: number) => ({ partition: n, state: "running", offset: 5, end: 5, lag: 0 });
const ready = (...partitions: object[]): MemberAnswer => ({
  status: 200,
  text: JSON.stringify({ status: "ready", log: "the log", partitions }),
});
const notReady = (status: string, more: object = {}): MemberAnswer => ({
  status: 503,
  text: JSON.stringify({ status, log: "the log", ...more, partitions: [] }),
});
const live: MemberAnswer = { status: 200, text: JSON.stringify({ status: "live" }) };

/** The order services of these members, with what each answers; undefined where it does not listen. */
function setOf(views: readonly MemberView[], answers: readonly (MemberAnswer | "silent" | undefined)[]) {
  const asked: string[] = [];
  const clock = new ManualClock();
  const ask = (url: string) => {
    asked.push(url);
    return Promise.resolve(answers[views.findIndex(({ urls }) => url.startsWith(`${urls["order-service"]}/`))]);
  };
  return { set: new SetAnswers("order-service", () => views, ask, clock), asked, clock };
}

describe("the set is ready", () => {
  test("with the partitions of all, each with its member, and what each member says of itself", async () => {
    const { set, asked } = setOf([listening(0), listening(1)], [ready(partition(0)), ready(partition(1))]);
    expect(await set.readiness()).toEqual({
      status: "ready",
      partitions: [
        { member: 0, ...partition(0) },
        { member: 1, ...partition(1) },
      ],
      members: [0, 1].map((member) => ({
        member,
        state: "listening",
        restarts: 0,
        shares: true,
        url: at(member),
        status: "ready",
      })),
    } as never);
    expect(asked).toEqual([`${at(0)}/health/ready`, `${at(1)}/health/ready`]);
  });

  test("while a member is started again, is not ready yet, or has ended: the shared port does not lead there", async () => {
    const views = [listening(0), gone(1, "waiting"), listening(2, false), gone(3, "ended"), listening(4)];
    const { set } = setOf(views, [ready(), undefined, notReady("catching-up"), undefined, undefined]);
    const { status, members } = await set.readiness();
    expect(status).toBe("ready");
    expect(members.map(({ state, status: own }) => [state, own])).toEqual([
      ["listening", "ready"],
      ["waiting", undefined],
      ["listening", "catching-up"],
      ["ended", undefined],
      // It has ended just now, and the supervisor has not told yet.
      ["listening", undefined],
    ]);
  });
});

describe("the set is not ready", () => {
  test("while one that listens on the shared port is not, for that one's reason", async () => {
    const since = "2026-11-26T22:00:00.000Z";
    const bad = notReady("halted", { reason: "Partition 3 is halted.", since });
    const { set } = setOf([listening(0), listening(1)], [ready(), bad]);
    expect(await set.readiness()).toMatchObject({ status: "halted", reason: "Member 1: Partition 3 is halted.", since });
  });

  test.each(["silent" as const, { status: 200, text: "another program's" }, { status: 200, text: "{}" }])(
    "while one that listens on the shared port does not answer: %p",
    async (answer) => {
      const { set } = setOf([listening(0), listening(1)], [ready(), answer]);
      const { status, reason, members } = await set.readiness();
      expect(status).toBe("silent");
      expect(reason).toBe("Member 1: it does not answer on its own port.");
      expect(members[1]).toMatchObject({ member: 1, state: "listening", status: "silent" });
    },
  );
});

describe("the set is live", () => {
  test("while every member that runs is, whether or not others are started again", async () => {
    expect(await setOf([listening(0), gone(1, "waiting"), listening(2)], [live]).set.standstill()).toBeUndefined();
  });

  test("not while one stands still, or does not answer: only a restart may help that one", async () => {
    const still = { status: 503, text: JSON.stringify({ status: "standing-still", standstill: "Nothing was applied." }) };
    expect(await setOf([listening(0), listening(1)], [live, still]).set.standstill()).toBe("Member 1: Nothing was applied.");
    expect(await setOf([listening(0), listening(1)], [live, "silent"]).set.standstill()).toBe(
      "Member 1: it does not answer on its own port.",
    );
  });
});

test("the metrics of those that answer are told, and of those that do not that they are not up", async () => {
  const text = (member: number): MemberAnswer => ({
    status: 200,
    text: `# HELP a A.\n# TYPE a counter\na{member="${member}"} ${member}\n`,
  });
  const { set } = setOf([listening(0), listening(1), gone(2, "waiting")], [text(0), "silent"]);
  const metrics = await set.metrics();
  expect(metrics.match(/^a\{.*$/gm)).toEqual(['a{member="0"} 0']);
  expect(metrics.match(/^orders_member_up.*$/gm)!.map((line) => line.at(-1))).toEqual(["1", "0", "0"]);
});

test("however often the set is asked, its members are asked four times a second at most", async () => {
  const { set, asked, clock } = setOf([listening(0)], [ready()]);
  await Promise.all(Array.from({ length: 100 }, () => set.readiness()));
  expect(asked).toHaveLength(1);
  clock.leap(250);
  await set.readiness();
  expect(asked).toHaveLength(2);
});
