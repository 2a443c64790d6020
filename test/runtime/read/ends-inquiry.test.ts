import { expect, test } from "bun:test";
import { systemClock } from "../../../src/system/clock.ts";
import type { Log, TopicEnds } from "../../../src/log/port.ts";
import { EndsInquiry } from "../../../src/runtime/read/ends-inquiry.ts";
import { Outage } from "../../../src/runtime/read/outage.ts";

interface Asker {
  readonly question: number;
  hear(asked: number, ends: TopicEnds): boolean;
}

function inquiry(ends: () => Promise<TopicEnds>) {
  const told: string[] = [];
  let asked = 0;
  const log = { ends: () => (asked++, ends()) } as unknown as Log;
  const made = new EndsInquiry<number, Asker>({
    log,
    topic: "orders",
    outage: new Outage("Asking", systemClock, (message) => void told.push(message)),
    onHeard: () => undefined,
    backoff: { backoff_ms_min: 1, backoff_ms_max: 5 },
    clock: systemClock,
    random: () => 0.5,
  });
  return { made, told, asked: () => asked };
}

const none: TopicEnds = { topicId: undefined, partitions: [] };

test("who asks at the same time is answered together, and who is not satisfied is answered again", async () => {
  const { made, asked } = inquiry(async () => none);
  const heard: string[] = [];
  const asker = (name: string, times: number): Asker => ({ question: 0, hear: () => heard.push(name) > 0 && --times === 0 });
  made.ask(asker("a", 1));
  made.ask(asker("b", 3));
  await Bun.sleep(100);
  expect(heard).toEqual(["a", "b", "b", "b"]);
  expect(asked()).toBe(3);
});

test("who asks again while it hears is answered again", async () => {
  const { made } = inquiry(async () => none);
  let question = 0;
  const heard: number[] = [];
  const asker: Asker = {
    get question() {
      return question;
    },
    hear: (asked) => {
      heard.push(asked);
      if (question++ === 0) made.ask(asker);
      return true;
    },
  };
  made.ask(asker);
  await Bun.sleep(100);
  expect(heard).toEqual([0, 1]);
});

test("who asks while an answer is under way has that one with what it asked before, and another one", async () => {
  const answers: PromiseWithResolvers<TopicEnds>[] = [];
  const { made } = inquiry(() => (answers.push(Promise.withResolvers()), answers.at(-1)!.promise));
  let question = 0;
  const heard: [asked: number, now: number][] = [];
  const asker: Asker = {
    get question() {
      return question;
    },
    hear: (asked) => heard.push([asked, question]) > 0 && asked === question,
  };
  made.ask(asker);
  await Bun.sleep(20);
  question = 1;
  made.ask(asker);
  answers[0]!.resolve(none);
  await Bun.sleep(50);
  answers[1]!.resolve(none);
  await Bun.sleep(20);
  expect(heard).toEqual([
    [0, 1],
    [1, 1],
  ]);
  expect(answers).toHaveLength(2);
});

test("a log that does not answer is an outage, until it does", async () => {
  let tries = 0;
  const { made, told } = inquiry(async () => {
    if (tries++ < 3) throw new Error("no broker");
    return none;
  });
  let isHeard = false;
  made.ask({ question: 0, hear: () => (isHeard = true) });
  await Bun.sleep(100);
  expect(isHeard).toBe(true);
  expect(told).toEqual([expect.stringContaining("no broker"), expect.stringContaining("works again")]);
});
