import { expect, test } from "bun:test";
import type { EndOffset, EndOffsets, Log } from "../../../src/log/port.ts";
import { NewestEnds, SLOW_LEADER_MS, toldEnd } from "../../../src/runtime/read/newest-ends.ts";
import { systemClock } from "../../../src/system/clock.ts";

const at = (endOffset: number): EndOffset => ({ endOffset, leaderEpoch: 0 });

/** A log with two partitions, each with a leader; the leader of the second answers when `tell` is called. */
function logWithSilentLeader() {
  const silent = Promise.withResolvers<EndOffset>();
  let questions = 0;
  const endOffsets: Log["endOffsets"] = async () => {
    questions++;
    return { topicId: undefined, partitions: [Promise.resolve(at(questions)), silent.promise] };
  };
  return { log: { endOffsets }, tell: (end: EndOffset) => silent.resolve(end), questions: () => questions };
}

test("a leader that does not answer holds up neither what the others tell nor the next question", async () => {
  const { log, tell, questions } = logWithSilentLeader();
  const ends = new NewestEnds(log, "orders", systemClock);
  const began_ms = performance.now();
  for (const asked of [1, 2, 3]) {
    const { stable } = await ends.ask([], [0, 1]);
    expect([stable[0], questions()]).toEqual([at(asked), asked]);
    expect(stable[1]).toMatchObject({ later: expect.any(Promise) });
  }
  expect(performance.now() - began_ms).toBeLessThan(3 * SLOW_LEADER_MS + 1_000);
  const { stable } = await ends.ask([], [1]);
  const later = toldEnd(systemClock, stable[1], 10_000);
  tell(at(7));
  expect(await later).toEqual(at(7));
});

test("an end that is not told in time is unavailable", async () => {
  const { log } = logWithSilentLeader();
  const { stable } = await new NewestEnds(log, "orders", systemClock).ask([], [0, 1]);
  expect(await toldEnd(systemClock, stable[1], 10)).toMatchObject({ unavailable: "Its leader has not answered yet." });
  expect(await toldEnd(systemClock, stable[0], 0)).toEqual(at(1));
  expect(await toldEnd(systemClock, stable[2], 0)).toBeUndefined();
});

test("a broker that does not say who leads holds up nobody's next question", async () => {
  const silent = Promise.withResolvers<EndOffsets>();
  const told: EndOffsets = { topicId: undefined, partitions: [Promise.resolve(at(5))] };
  let questions = 0;
  const ends = new NewestEnds(
    { endOffsets: () => (questions++ === 0 ? silent.promise : Promise.resolve(told)) },
    "orders",
    systemClock,
  );
  const first = ends.ask([], [0]);
  await Bun.sleep(0);
  expect((await ends.ask([], [0])).stable).toEqual([at(5)]);
  silent.resolve(told);
  expect((await first).stable).toEqual([at(5)]);
});

test("requests that come while a question is under way share the next one", async () => {
  const under = Promise.withResolvers<EndOffset>();
  let questions = 0;
  const endOffsets: Log["endOffsets"] = async () => ({
    topicId: undefined,
    partitions: [questions++ === 0 ? under.promise : Promise.resolve(at(questions))],
  });
  const ends = new NewestEnds({ endOffsets }, "orders", systemClock);
  const first = ends.ask([], [0]);
  await Bun.sleep(0);
  const further = Array.from({ length: 10 }, () => ends.ask([], [0]));
  under.resolve(at(1));
  expect((await first).stable).toEqual([at(1)]);
  for (const { stable } of await Promise.all(further)) expect(stable).toEqual([at(2)]);
  expect(questions).toBe(2);
});
