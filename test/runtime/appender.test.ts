import { describe, expect, test } from "bun:test";
import { systemClock } from "../../src/clock.ts";
import { AppError } from "../../src/errors.ts";
import { Appender } from "../../src/log/appender.ts";
import type { NewRecord, Producer } from "../../src/log/log.ts";

const record = (value: string): NewRecord => ({ partition: 0, key: "k", value, headers: [], timestamp_ms: 0 });

/** A producer whose appends settle when the test says so. */
class HeldProducer implements Producer {
  readonly batches: string[][] = [];
  readonly deadlines_ms: (number | undefined)[] = [];
  #settle: ((error?: Error) => void) | undefined;
  #next = 0;

  append(_: string, records: readonly NewRecord[], deadline_ms?: number): Promise<number[]> {
    this.deadlines_ms.push(deadline_ms);
    this.batches.push(records.map(({ value }) => String(value)));
    return new Promise((resolve, reject) => {
      this.#settle = (error) => (error ? reject(error) : resolve(records.map(() => this.#next++)));
    });
  }

  async settle(error?: Error): Promise<void> {
    while (!this.#settle) await Bun.sleep(1);
    const settle = this.#settle;
    this.#settle = undefined;
    settle(error);
  }

  async close(): Promise<void> {}
}

function appenderOn(producer: Producer, queue_records_max = 100, batch_records_max = 3): Appender {
  return new Appender({ producer, topic: "t", clock: systemClock, queue_records_max, batch_records_max });
}

const soon = (wait_ms: number) => systemClock.now_ms() + wait_ms;
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "ok",
    (e: unknown) => (e instanceof AppError ? e.code : String(e)),
  );

describe("the appender", () => {
  test("gathers a batch while one is in flight, and never has two in flight", async () => {
    const producer = new HeldProducer();
    const appender = appenderOn(producer);
    const offsets = [appender.append(record("a"), soon(5_000))];
    while (producer.batches.length === 0) await Bun.sleep(1);
    for (const value of ["b", "c", "d", "e"]) offsets.push(appender.append(record(value), soon(5_000)));
    await Bun.sleep(20);
    expect(producer.batches).toEqual([["a"]]);
    for (let i = 0; i < 3; i++) await producer.settle();
    expect(await Promise.all(offsets)).toEqual([0, 1, 2, 3, 4]);
    expect(producer.batches).toEqual([["a"], ["b", "c", "d"], ["e"]]);
  });

  test("sends nothing whose deadline went by while the process stood still, and tells the producer the first deadline", async () => {
    const producer = new HeldProducer();
    let stoodStill_ms = 0;
    const clock = { ...systemClock, now_ms: () => systemClock.now_ms() + stoodStill_ms };
    const appender = new Appender({ producer, topic: "t", clock, queue_records_max: 100, batch_records_max: 3 });
    const asleep = codeOf(appender.append(record("a"), clock.now_ms() + 1_000));
    stoodStill_ms = 60_000;
    const [first_ms, second_ms] = [clock.now_ms() + 4_000, clock.now_ms() + 3_000];
    const offsets = [appender.append(record("b"), first_ms), appender.append(record("c"), second_ms)];
    await producer.settle();
    expect([await asleep, await Promise.all(offsets)]).toEqual(["LOG_UNAVAILABLE", [0, 1]]);
    expect([producer.batches, producer.deadlines_ms]).toEqual([[["b", "c"]], [second_ms]]);
  });

  test("past its deadline, what is queued was not appended, and what is in flight is not known", async () => {
    const producer = new HeldProducer();
    const appender = appenderOn(producer);
    const inFlight = codeOf(appender.append(record("a"), soon(60)));
    while (producer.batches.length === 0) await Bun.sleep(1);
    const queued = codeOf(appender.append(record("b"), soon(60)));
    const patient = appender.append(record("c"), soon(5_000));
    expect(await inFlight).toBe("APPEND_OUTCOME_UNKNOWN");
    expect(await queued).toBe("LOG_UNAVAILABLE");
    await producer.settle();
    await producer.settle();
    expect(await patient).toBe(1);
    expect(producer.batches).toEqual([["a"], ["c"]]);
  });

  test("refuses what does not fit its queue, and all once it is closed", async () => {
    const producer = new HeldProducer();
    const appender = appenderOn(producer, 2);
    const first = appender.append(record("a"), soon(5_000));
    while (producer.batches.length === 0) await Bun.sleep(1);
    const rest = [codeOf(appender.append(record("b"), soon(5_000))), codeOf(appender.append(record("c"), soon(5_000)))];
    expect(await codeOf(appender.append(record("d"), soon(5_000)))).toBe("OVERLOADED");
    const closing = appender.close(50);
    expect(await codeOf(appender.append(record("e"), soon(5_000)))).toBe("SHUTTING_DOWN");
    await producer.settle();
    expect(await first).toBe(0);
    await closing;
    expect(await Promise.all(rest)).toEqual(["APPEND_OUTCOME_UNKNOWN", "APPEND_OUTCOME_UNKNOWN"]);
  });

  test("passes a failure on to its batch alone", async () => {
    const producer = new HeldProducer();
    const appender = appenderOn(producer);
    const first = codeOf(appender.append(record("a"), soon(5_000)));
    await producer.settle(new AppError("LOG_UNAVAILABLE", "away"));
    expect(await first).toBe("LOG_UNAVAILABLE");
    const second = appender.append(record("b"), soon(5_000));
    await producer.settle();
    expect(await second).toBe(0);
  });
});
