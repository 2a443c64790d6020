import { describe, expect, test } from "bun:test";
import { systemClock } from "../../../src/system/clock.ts";
import { codeOf } from "../../support/code-of.ts";
import { appenderOn, failure, HeldProducer, messageOf, offsetsOf, record, soon } from "./held-producer.ts";

describe("the appender", () => {
  test("gathers a batch while one is in flight, and never has two in flight", async () => {
    const producer = new HeldProducer();
    const appender = appenderOn(producer);
    const appended = [appender.append(record("a"), soon(5_000))];
    const first = await producer.next();
    for (const value of ["b", "c", "d", "e"]) appended.push(appender.append(record(value), soon(5_000)));
    await Bun.sleep(20);
    expect(producer.sends.map(({ values }) => values)).toEqual([["a"]]);
    first.settle();
    for (let i = 0; i < 2; i++) (await producer.next()).settle();
    expect(await offsetsOf(appended)).toEqual([0, 1, 2, 3, 4]);
    expect(producer.sends.map(({ values }) => values)).toEqual([["a"], ["b", "c", "d"], ["e"]]);
  });

  test("tells where the log has a record, and which leader took it", async () => {
    const producer = new HeldProducer();
    const appended = appenderOn(producer).append(record("a"), soon(5_000));
    (await producer.next()).settle();
    expect(await appended).toEqual({ offset: 0, leaderEpoch: 7 });
  });

  test("sends nothing whose deadline went by while the process stood still, and ends a send before the first deadline", async () => {
    const producer = new HeldProducer();
    let stoodStill_ms = 0;
    const clock = { ...systemClock, now_ms: () => systemClock.now_ms() + stoodStill_ms };
    const appender = appenderOn(producer, { clock });
    const asleep = codeOf(appender.append(record("a"), clock.now_ms() + 1_000));
    stoodStill_ms = 60_000;
    const [first_ms, second_ms] = [clock.now_ms() + 4_000, clock.now_ms() + 3_000];
    const appended = [appender.append(record("b"), first_ms), appender.append(record("c"), second_ms)];
    const send = await producer.next();
    send.settle();
    expect([await asleep, await offsetsOf(appended)]).toEqual(["LOG_UNAVAILABLE", [0, 1]]);
    expect(send.values).toEqual(["b", "c"]);
    expect(send.deadline_ms).toBeWithin(second_ms - 500, second_ms);
  });

  test("past its deadline, what is queued was not appended, and what is in flight is not known (I9)", async () => {
    const producer = new HeldProducer();
    const appender = appenderOn(producer);
    const inFlight = codeOf(appender.append(record("a"), soon(60)));
    const first = await producer.next();
    const queued = codeOf(appender.append(record("b"), soon(60)));
    const patient = appender.append(record("c"), soon(5_000));
    expect(await inFlight).toBe("APPEND_OUTCOME_UNKNOWN");
    expect(await queued).toBe("LOG_UNAVAILABLE");
    first.settle();
    (await producer.next()).settle();
    expect((await patient).offset).toBe(1);
    expect(producer.sends.map(({ values }) => values)).toEqual([["a"], ["c"]]);
  });

  test("refuses what does not fit its queue, and all once it is closed (I10)", async () => {
    const producer = new HeldProducer();
    const appender = appenderOn(producer, { queue_records_max: 2 });
    const first = appender.append(record("a"), soon(5_000));
    const send = await producer.next();
    const rest = [codeOf(appender.append(record("b"), soon(5_000))), codeOf(appender.append(record("c"), soon(5_000)))];
    expect(await codeOf(appender.append(record("d"), soon(5_000)))).toBe("OVERLOADED");
    const closing = appender.close(50);
    expect(await codeOf(appender.append(record("e"), soon(5_000)))).toBe("SHUTTING_DOWN");
    send.settle();
    expect((await first).offset).toBe(0);
    await closing;
    expect(await Promise.all(rest)).toEqual(["APPEND_OUTCOME_UNKNOWN", "APPEND_OUTCOME_UNKNOWN"]);
  });

  test("closed, waits for what every lane has to send", async () => {
    const producer = new HeldProducer();
    producer.leaders.set(1, "2");
    const appender = appenderOn(producer);
    const appended = [appender.append(record("a", 0), soon(5_000)), appender.append(record("b", 1), soon(5_000))];
    const closing = appender.close(5_000);
    const sends = [await producer.next(), await producer.next()];
    for (const send of sends) send.settle();
    await closing;
    expect(await offsetsOf(appended)).toEqual([0, 0]);
  });

  test("a producer that throws leaves it open whether its records are in the log, and the next ones go on", async () => {
    const producer = new HeldProducer();
    const appender = appenderOn(producer);
    const throwing = appenderOn(Object.assign(new HeldProducer(), { send: () => Promise.reject(new Error("defect")) }));
    expect(await codeOf(throwing.append(record("a"), soon(5_000)))).toBe("APPEND_OUTCOME_UNKNOWN");
    const after = appender.append(record("b"), soon(5_000));
    (await producer.next()).settle();
    expect((await after).offset).toBe(0);
  });
});

describe("each record has its own fate", () => {
  test("one that is refused leaves those beside it alone, and is told to people", async () => {
    const producer = new HeldProducer();
    const refused: string[] = [];
    const appender = appenderOn(producer, { onNotTaken: ({ code }) => refused.push(code) });
    const results = ["a", "large", "b"].map((value) => codeOf(appender.append(record(value), soon(5_000))));
    (await producer.next()).settle(({ value }) => (value === "large" ? failure("EVENT_TOO_LARGE") : undefined));
    expect(await Promise.all(results)).toEqual(["ok", "EVENT_TOO_LARGE", "ok"]);
    expect(refused).toEqual(["EVENT_TOO_LARGE"]);
  });

  test("a send that an impatient record ended is tried again for those that have time left", async () => {
    const producer = new HeldProducer();
    const appender = appenderOn(producer);
    const impatient = codeOf(appender.append(record("impatient"), soon(150)));
    const patient = appender.append(record("patient"), soon(5_000));
    const first = await producer.next();
    await Bun.sleep(Math.max(0, first.deadline_ms - systemClock.now_ms()));
    first.settle(() => failure("LOG_UNAVAILABLE"));
    expect(await impatient).toBe("LOG_UNAVAILABLE");
    const again = await producer.next();
    expect(again.values).toEqual(["patient"]);
    again.settle();
    expect((await patient).offset).toBe(0);
  });

  test("what the log turns down at once is not tried again: the client is told", async () => {
    const producer = new HeldProducer();
    const result = codeOf(appenderOn(producer).append(record("a"), soon(5_000)));
    (await producer.next()).settle(() => failure("LOG_UNAVAILABLE"));
    expect(await result).toBe("LOG_UNAVAILABLE");
    await Bun.sleep(20);
    expect(producer.sends).toHaveLength(1);
  });

  test("what waited in vain is told why, where the producer knows", async () => {
    const producer = new HeldProducer();
    const appender = appenderOn(producer);
    const first = codeOf(appender.append(record("a"), soon(5_000)));
    (await producer.next()).settle(() => failure("LOG_UNAVAILABLE", "The partition t-0 has no leader now."));
    expect(await first).toBe("LOG_UNAVAILABLE");
    void codeOf(appender.append(record("b"), soon(5_000)));
    await producer.next();
    expect(await messageOf(appender.append(record("c"), soon(60)))).toBe(
      "The log did not take the event in time; it was not appended: The partition t-0 has no leader now.",
    );
  });
});
