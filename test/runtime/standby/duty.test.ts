import { describe, expect, test } from "bun:test";
import { DISAGREEMENT_MS_MIN } from "../../../src/runtime/standby/agreement.ts";
import { Duty } from "../../../src/runtime/standby/duty.ts";
import { ManualClock } from "../../support/manual-clock.ts";

const clock = new ManualClock();
const hear = (duty: Duty, nextOffset: number) => duty.hear({ nextOffset }, { nextOffset: 0 }, 9);

describe("a duty", () => {
  test("lets an owner apply while the group has it for a member, and a standby always", () => {
    let isMember = false;
    const duty = new Duty("owner", clock, () => isMember);
    expect(duty.mayApply()).toBe(false);
    isMember = true;
    expect(duty.mayApply()).toBe(true);
    isMember = false;
    duty.take("standby");
    expect(duty.mayApply()).toBe(true);
  });

  test("ends what was begun for it when it changes", () => {
    const duty = new Duty("owner", clock, () => true);
    const { term } = duty;
    duty.take("standby");
    expect([term.aborted, duty.term.aborted]).toEqual([true, false]);
    duty.end();
    expect(duty.term.aborted).toBe(true);
  });
});

describe("a standby's wait for the owner's letters", () => {
  test("is over at once where the owner has committed beyond them", async () => {
    const duty = new Duty("standby", clock, () => true);
    hear(duty, 5);
    expect(await duty.whenAppended(4)).toBe(true);
  });

  test("is over when the owner does, and says what it is for until then", async () => {
    const duty = new Duty("standby", clock, () => true);
    const appended = duty.whenAppended(5);
    hear(duty, 5);
    expect(duty.hindrance).toContain("offset 5");
    hear(duty, 6);
    expect([await appended, duty.hindrance]).toEqual([true, undefined]);
  });

  test("is given up when the duty changes or ends, and what the earlier owner said is forgotten", async () => {
    const duty = new Duty("standby", clock, () => true);
    const appended = duty.whenAppended(5);
    duty.take("owner");
    expect(await appended).toBe(false);
    hear(duty, 9);
    duty.take("standby");
    const again = duty.whenAppended(5);
    duty.end();
    expect([await again, await duty.whenAppended(5)]).toEqual([false, false]);
  });
});

describe("a standby's rows", () => {
  const owners = { nextOffset: 5, kind: "orders@3", digest: "a" };
  const heard = (duty: Duty, own: object) => duty.hear(owners, { ...owners, ...own }, 9);

  test("differ for good if they still do after some time, and did not agree in between", () => {
    const duty = new Duty("standby", clock, () => true);
    expect(heard(duty, {})).toBe("agrees");
    expect([heard(duty, { digest: "b" }), heard(duty, { digest: "b" })]).toEqual(["begins to differ", "differs"]);
    clock.leap(DISAGREEMENT_MS_MIN);
    expect([heard(duty, { nextOffset: 6 }), heard(duty, { digest: "b" })]).toEqual(["unknown", "differs for good"]);
    expect([heard(duty, {}), heard(duty, { digest: "b" })]).toEqual(["agrees", "begins to differ"]);
  });

  test.each([{ nextOffset: 4 }, { kind: "orders@4" }, { digest: undefined }, { topicId: "t" }])(
    "are not compared with other ones: %p",
    (own) => {
      const told = { ...owners, digest: "b", ...own, ...("topicId" in own ? { topicId: "u" } : {}) };
      expect(new Duty("standby", clock, () => true).hear({ ...owners, topicId: "t" }, told, 9)).toBe("unknown");
    },
  );
});
