import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { systemClock } from "../../../src/system/clock.ts";
import { AppError } from "../../../src/errors.ts";
import { Appender, type AppenderOptions } from "../../../src/log/append/appender.ts";
import { encodeBatch, BatchOutput } from "../../../src/log/kafka/records/encode-batch.ts";
import type { IdempotentProducer, NewRecord, SendOutcome } from "../../../src/log/port.ts";
import { BATCH_HEAD_BYTES, encodedBytes, IN_BATCH_EXTRA_BYTES } from "../../../src/log/append/record-size.ts";
import { codeOf } from "../../support/code-of.ts";
import { waitUntil } from "../../support/wait-until.ts";

const record = (value: string, partition = 0): NewRecord => ({ partition, key: "k", value, headers: [], timestamp_ms: 0 });

type Fate = (record: NewRecord) => AppError | undefined;
const failure = (code: ConstructorParameters<typeof AppError>[0], message: string = code) => new AppError(code, message);

interface HeldSend {
  readonly values: string[];
  readonly partitions: number[];
  readonly deadline_ms: number;
  readonly settle: (fate?: Fate) => void;
}

/** A producer whose sends settle when the test says so; a partition's lane is what `leaders` has, else "1". */
class HeldProducer implements IdempotentProducer {
  readonly sends: HeldSend[] = [];
  readonly leaders = new Map<number, string>();
  batch_bytes_max = 1_048_588;
  #settled = 0;
  readonly #ends = new Map<number, number>();
  readonly #underWay = new Set<number>();

  lane(_: string, partition: number): string {
    return this.leaders.get(partition) ?? "1";
  }

  batchBytesMax(): number {
    return this.batch_bytes_max;
  }

  append(): Promise<number[]> {
    throw new Error("The appender sends.");
  }

  send(_: string, records: readonly NewRecord[], deadline_ms = Number.POSITIVE_INFINITY): Promise<SendOutcome[]> {
    const partitions = [...new Set(records.map(({ partition }) => partition))];
    for (const partition of partitions) {
      if (this.#underWay.has(partition)) throw new Error(`Two sends are under way for partition ${partition}.`);
      this.#underWay.add(partition);
    }
    return new Promise((resolve) => {
      const settle = (fate: Fate = () => undefined) => {
        for (const partition of partitions) this.#underWay.delete(partition);
        resolve(records.map((sent) => this.#land(sent, fate(sent))));
      };
      this.sends.push({ values: records.map(({ value }) => String(value)), partitions, deadline_ms, settle });
    });
  }

  #land({ partition }: NewRecord, error: AppError | undefined): SendOutcome {
    if (error) return { error };
    const offset = this.#ends.get(partition) ?? 0;
    this.#ends.set(partition, offset + 1);
    return { offset, leaderEpoch: 7 };
  }

  /** The next send that is not settled yet. */
  async next(): Promise<HeldSend> {
    const index = this.#settled++;
    await waitUntil(
      () => `there is no send ${index}`,
      () => this.sends.length > index,
    );
    return this.sends[index]!;
  }

  async close(): Promise<void> {}
}

const bounds = { topic: "t", clock: systemClock, queue_records_max: 100, batch_records_max: 3, value_bytes_max: 1_000_000 };
const appenderOn = (producer: IdempotentProducer, options: Partial<AppenderOptions> = {}): Appender =>
  new Appender({ ...bounds, producer, ...options });

const soon = (wait_ms: number) => systemClock.now_ms() + wait_ms;
const messageOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "ok",
    (e: unknown) => (e as Error).message,
  );
const offsetsOf = async (appended: readonly Promise<{ offset: number }>[]) =>
  (await Promise.all(appended)).map(({ offset }) => offset);

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

  test("past its deadline, what is queued was not appended, and what is in flight is not known", async () => {
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

  test("refuses what does not fit its queue, and all once it is closed", async () => {
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

describe("lanes", () => {
  test("partitions with one leader go together, and those of another one do not wait for them", async () => {
    const producer = new HeldProducer();
    producer.leaders.set(2, "2");
    const appender = appenderOn(producer, { batch_records_max: 100 });
    const appended = [0, 1, 2].map((partition) => appender.append(record("a", partition), soon(5_000)));
    const [together, alone] = [await producer.next(), await producer.next()];
    expect([together.partitions, alone.partitions]).toEqual([[0, 1], [2]]);
    alone.settle();
    expect((await appended[2]!).offset).toBe(0);
    const second = appender.append(record("b", 2), soon(5_000));
    (await producer.next()).settle();
    expect((await second).offset).toBe(1);
    together.settle();
    await Promise.all(appended);
  });

  test("a partition whose send failed has a lane of its own until one works", async () => {
    const producer = new HeldProducer();
    const appender = appenderOn(producer);
    const failed = codeOf(appender.append(record("a", 1), soon(5_000)));
    const beside = appender.append(record("a", 0), soon(5_000));
    (await producer.next()).settle(({ partition }) => (partition === 1 ? failure("APPEND_OUTCOME_UNKNOWN") : undefined));
    expect([await failed, (await beside).offset]).toEqual(["APPEND_OUTCOME_UNKNOWN", 0]);

    const [held, free] = [appender.append(record("b", 1), soon(5_000)), appender.append(record("b", 0), soon(5_000))];
    const sends = [await producer.next(), await producer.next()];
    const of = (partition: number) => sends.find(({ partitions }) => partitions.includes(partition))!;
    of(0).settle();
    expect((await free).offset).toBe(1);
    of(1).settle();
    expect((await held).offset).toBe(0);

    const again = [0, 1].map((partition) => appender.append(record("c", partition), soon(5_000)));
    const last = await producer.next();
    expect(new Set(last.partitions)).toEqual(new Set([0, 1]));
    last.settle();
    await Promise.all(again);
  });

  test("a partition that moves to another leader while its send is under way does not have two", async () => {
    const producer = new HeldProducer();
    const appender = appenderOn(producer);
    const first = appender.append(record("a"), soon(5_000));
    const send = await producer.next();
    producer.leaders.set(0, "2");
    const second = appender.append(record("b"), soon(5_000));
    // Whatever another lane does meanwhile.
    producer.leaders.set(1, "3");
    const other = appender.append(record("other", 1), soon(5_000));
    (await producer.next()).settle();
    await other;
    await Bun.sleep(20);
    expect(producer.sends.map(({ values }) => values)).toEqual([["a"], ["other"]]);
    send.settle();
    (await producer.next()).settle();
    expect(await offsetsOf([first, second])).toEqual([0, 1]);
  });

  test("a lane has one send under way, whatever the other lanes do meanwhile", async () => {
    const producer = new HeldProducer();
    producer.leaders.set(2, "2");
    const appender = appenderOn(producer);
    const appended = [appender.append(record("a", 0), soon(5_000))];
    const first = await producer.next();
    appended.push(appender.append(record("b", 1), soon(5_000)), appender.append(record("c", 2), soon(5_000)));
    (await producer.next()).settle();
    await appended[2];
    await Bun.sleep(20);
    expect(producer.sends.map(({ values }) => values)).toEqual([["a"], ["c"]]);
    first.settle();
    (await producer.next()).settle();
    await Promise.all(appended);
  });

  test("a partition with much to send does not keep the others of its lane waiting", async () => {
    const producer = new HeldProducer();
    const appender = appenderOn(producer);
    const busy = ["a", "b", "c", "d", "e", "f", "g"].map((value) => appender.append(record(value, 0), soon(5_000)));
    const other = appender.append(record("other", 1), soon(5_000));
    (await producer.next()).settle();
    const second = await producer.next();
    expect(second.values).toEqual(["other", "d", "e"]);
    second.settle();
    await other;
    (await producer.next()).settle();
    await Promise.all(busy);
  });
});

describe("sizes are the encoded bytes", () => {
  const text = fc.string({ unit: "binary", maxLength: 80 });
  const bytes = fc.oneof(text, fc.uint8Array({ maxLength: 300 }), fc.constant(null));
  const name = fc.string({ unit: "grapheme-ascii", maxLength: 70 });
  const anyRecord = fc.record({ key: bytes, value: bytes, headers: fc.array(fc.tuple(name, bytes), { maxLength: 4 }) });

  test("of a record alone exactly what Kafka's encoding takes, of many no more than is counted for them", () => {
    const producer = { producerId: 1, producerEpoch: 0, sequence: 0, transactional: false };
    fc.assert(
      fc.property(fc.array(anyRecord, { minLength: 1, maxLength: 20 }), fc.nat(2 ** 31), (parts, ms) => {
        const records = parts.map((part, i): NewRecord => ({ ...part, partition: 0, timestamp_ms: i % 2 === 0 ? 0 : ms }));
        const alone = encodeBatch(records.slice(0, 1), producer, new BatchOutput()).length;
        expect(BATCH_HEAD_BYTES + encodedBytes(records[0]!)).toBe(alone);
        const counted = records.reduce((sum, each) => sum + encodedBytes(each) + IN_BATCH_EXTRA_BYTES, BATCH_HEAD_BYTES);
        expect(encodeBatch(records, producer, new BatchOutput()).length).toBeLessThanOrEqual(counted);
      }),
    );
  });

  test("text beyond ASCII fills a batch by its bytes", async () => {
    const producer = new HeldProducer();
    producer.batch_bytes_max = 1_000;
    const appender = appenderOn(producer, { batch_records_max: 100 });
    const appended = Array.from({ length: 6 }, () => appender.append(record("漢".repeat(100)), soon(5_000)));
    for (let i = 0; i < 3; i++) {
      const send = await producer.next();
      expect(send.values).toHaveLength(2);
      send.settle();
    }
    await Promise.all(appended);
  });

  test("a record that is larger than batches may be goes alone: the log says whether it takes it", async () => {
    const producer = new HeldProducer();
    producer.batch_bytes_max = 400;
    const appender = appenderOn(producer);
    const appended = ["a", "漢".repeat(200), "b"].map((value) => appender.append(record(value), soon(5_000)));
    for (const values of [["a"], ["漢".repeat(200)], ["b"]]) {
      const send = await producer.next();
      expect(send.values).toEqual(values);
      send.settle();
    }
    await Promise.all(appended);
  });

  test("one that no reader takes is refused before it is sent, with both sizes", async () => {
    const producer = new HeldProducer();
    const refused: string[] = [];
    const appender = appenderOn(producer, { value_bytes_max: 300, onNotTaken: ({ code }) => refused.push(code) });
    expect(await messageOf(appender.append(record("漢".repeat(101)), soon(5_000)))).toMatch(
      /has 303 bytes.* more than 300; it was not/,
    );
    expect(refused).toEqual(["EVENT_TOO_LARGE"]);
    const fits = appender.append(record("漢".repeat(100)), soon(5_000));
    (await producer.next()).settle();
    expect((await fits).offset).toBe(0);
  });
});
