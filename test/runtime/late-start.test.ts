import { expect, test } from "bun:test";
import { AppError } from "../../src/errors.ts";
import { LateStart, type OtherHolders } from "../../src/runtime/late-start.ts";
import { ManualClock } from "../support/manual-clock.ts";

const WAIT_MS = 20_000;

function deciding(others: OtherHolders) {
  const clock = new ManualClock();
  const warnings: string[] = [];
  const late = new LateStart({
    lateStartWait_ms: WAIT_MS,
    hadBefore: async () => true,
    ...others,
    clock,
    onWarning: (_, message) => void warnings.push(message),
  });
  return { clock, warnings, late, verdict: () => late.verdict(3, 9) };
}

const awaited = { wait: expect.stringContaining("Whoever had the partition before is waited for.") };

test("what another member has from before the log's start is not begun here", async () => {
  expect(await deciding({ earlierElsewhere: async () => "http://a" }).verdict()).toEqual({ elsewhere: "http://a" });
});

test("whoever had the partition before is waited for, and may come at any time until then", async () => {
  let url: string | undefined;
  const { clock, late, verdict } = deciding({ earlierElsewhere: async () => url });
  expect(await verdict()).toEqual(awaited);
  clock.leap(WAIT_MS - 1);
  expect(await verdict()).toEqual(awaited);
  url = "http://a";
  expect(await verdict()).toEqual({ elsewhere: "http://a" });
  url = undefined;
  clock.leap(1);
  expect(await verdict()).toBe("begin");
  // A wait of when it was held before does not count.
  late.forget(3);
  expect(await verdict()).toEqual(awaited);
});

test("nobody is waited for where nobody had the partition; where that is not known, they are", async () => {
  const earlierElsewhere = async () => undefined;
  expect(await deciding({ earlierElsewhere, hadBefore: async () => false }).verdict()).toBe("begin");
  const unknown = () => Promise.reject(new AppError("LOG_UNAVAILABLE", "The group cannot be asked."));
  expect(await deciding({ earlierElsewhere, hadBefore: unknown }).verdict()).toEqual(awaited);
});

test("a member that does not tell is waited for, however long that takes, and it is said once a minute", async () => {
  let isSilent = true;
  const { clock, warnings, verdict } = deciding({
    earlierElsewhere: async () => {
      if (isSilent) throw new AppError("OWNER_UNREACHABLE", "http://a does not answer.");
      return undefined;
    },
  });
  for (let n = 0; n < 60; n++) {
    expect(await verdict()).toEqual({ wait: expect.stringContaining("http://a does not answer.") });
    clock.leap(2_000);
  }
  expect(warnings).toHaveLength(2);
  isSilent = false;
  expect(await verdict()).toBe("begin");
});
