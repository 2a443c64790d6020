import { describe, expect, test } from "bun:test";
import { codeOf } from "../../support/code-of.ts";
import { appenderOn, failure, HeldProducer, offsetsOf, record, soon } from "./held-producer.ts";

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
    // Another lane may do anything meanwhile.
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
