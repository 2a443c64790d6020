import { describe, expect, test } from "bun:test";
import type { NewRecord } from "../../../src/log/port.ts";
import { DEAD_LETTER_EXTRA_HEADERS, DEAD_LETTER_HEADERS } from "../../../src/log/record-headers.ts";
import { orderCreated } from "../../support/events/orders.ts";
import { answerFor, DEAD_LETTER_TOPIC, eventually, poison, Rig, TOPIC } from "../rig.ts";
import { applied, end, lettersOnce, MINUTE_MS, offsets } from "./letters-rig.ts";

const { offset: OFFSET, partition: PARTITION, topic: ORIGIN, reason: REASON } = DEAD_LETTER_HEADERS;
const { cut: CUT, lastOffset: LAST_OFFSET } = DEAD_LETTER_EXTRA_HEADERS;

describe("a letter fits", () => {
  test("many small records with large headers, into what the topic takes of one batch", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    rig.broker.topics.setRecordBytesMax(DEAD_LETTER_TOPIC, 20_000);
    await rig.append(...Array.from({ length: 500 }, () => poison(0, "hi")), orderCreated({ orderId: "ORD-9" }));
    const set = await applied(rig, "x");
    expect(answerFor(set, "ORD-9")).toBe("new");
    expect(offsets(await lettersOnce(rig))).toEqual(Array.from({ length: 500 }, (_, n) => n));
  });

  test("also where the topic does not tell what it takes, and takes less of it later", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    rig.log.describe = () => Promise.reject(new Error("no right to describe"));
    rig.broker.topics.setRecordBytesMax(DEAD_LETTER_TOPIC, 9_000);
    await rig.append(...Array.from({ length: 200 }, () => poison(0, "hi")), poison(0, "x".repeat(30_000)));
    await applied(rig, "x");
    const letters = await lettersOnce(rig);
    expect(letters).toHaveLength(201);
    expect(letters.at(-1)!.headers.get(CUT)).toBe("value=30000");
  });

  test("also into one that does not tell what it takes, and takes little more than a letter's own headers", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    rig.log.describe = () => Promise.reject(new Error("no right to describe"));
    rig.broker.topics.setRecordBytesMax(DEAD_LETTER_TOPIC, 700);
    await rig.append(poison(0, "x".repeat(9_000)), orderCreated({ orderId: "ORD-9" }));
    const set = await applied(rig, "x");
    expect(answerFor(set, "ORD-9")).toBe("new");
    expect((await lettersOnce(rig)).map(({ headers }) => headers.get(CUT))).toEqual([expect.stringContaining("value=9000")]);
  });

  test.each([
    ["says", true],
    ["does not say", false],
  ])(
    "into what the topic takes by now, a minute after that was lowered or raised, where it %s what it takes",
    async (_, says) => {
      await using rig = new Rig();
      await rig.prepare(1);
      if (!says) rig.log.describe = () => Promise.reject(new Error("no right to describe"));
      rig.broker.topics.setRecordBytesMax(DEAD_LETTER_TOPIC, 20_000);
      const set = await applied(rig, "x");
      const lengths: number[] = [];
      for (const takes of [20_000, 4_000, 100_000]) {
        rig.broker.topics.setRecordBytesMax(DEAD_LETTER_TOPIC, takes);
        rig.passed_ms += MINUTE_MS;
        await rig.append(poison(0, "x".repeat(50_000)));
        const endOffset = await end(rig);
        await eventually(() => set.get(0)?.nextOffset === endOffset);
        lengths.push((await rig.deadLetters()).at(-1)!.value?.length ?? -1);
      }
      const [first, lowered, raised] = lengths;
      // The value fills at least 40 % of what the topic takes, and at least 80 % if the topic states its limit.
      const least = says ? 0.8 : 0.4;
      expect(first).toBeWithin(20_000 * least, 20_000);
      expect(lowered).toBeWithin(4_000 * least, 4_000);
      expect(raised).toBe(50_000);
    },
  );

  test("one that is too large by itself is cut, value first, then key, then headers, and says so", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    rig.broker.topics.setRecordBytesMax(DEAD_LETTER_TOPIC, 4_000);
    const large = (parts: Partial<NewRecord>): NewRecord => ({ ...poison(0, "small"), ...parts });
    await rig.append(
      large({ value: "v".repeat(9_000) }),
      large({ value: "v".repeat(500), key: "k".repeat(9_000) }),
      large({
        headers: [
          ["h", "x".repeat(9_000)],
          [REASON, "y".repeat(9_000)],
        ],
      }),
      orderCreated({ orderId: "ORD-9" }),
    );
    const set = await applied(rig, "x");
    expect(answerFor(set, "ORD-9")).toBe("new");
    const letters = await lettersOnce(rig);
    expect(letters.map(({ headers }) => headers.get(CUT))).toEqual([
      "value=9000",
      "value=500;key=9000",
      "value=5;key=5;headers=2",
    ]);
    expect(letters[0]!.value).toMatch(/^v{3000,4000}$/);
    expect(letters[0]!.headers.get("h")).toBe("1");
    expect(letters.map(({ headers }) => headers.get(REASON))).not.toContain("y".repeat(9_000));
  });

  test("a batch that cannot be decoded is one letter for its offsets, and the partition goes on", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    await rig.append(orderCreated());
    rig.broker.topics.landUndecodable(TOPIC, 0, 5, "The batch's bytes are no records.");
    await rig.append(orderCreated({ orderId: "ORD-2" }));
    const set = await applied(rig, "x");
    expect(answerFor(set, "ORD-2")).toBe("new");
    const [letter, ...others] = await lettersOnce(rig);
    expect(others).toBeEmpty();
    expect(Object.fromEntries(letter!.headers)).toEqual({
      [REASON]: "undecodable_batch",
      [DEAD_LETTER_HEADERS.detail]: "The batch's bytes are no records.",
      [ORIGIN]: TOPIC,
      [PARTITION]: "0",
      [OFFSET]: "1",
      [LAST_OFFSET]: "5",
    });
  });
});

describe("a letter that does not have the whole record", () => {
  test("is counted, and warned of at once and each minute at most", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    rig.broker.topics.setRecordBytesMax(DEAD_LETTER_TOPIC, 3_000);
    const told = () => rig.warnings.filter((warning) => warning.includes(" cut to fit "));
    const set = await applied(rig, "x");
    rig.metrics.watch(
      () => set,
      () => 0,
    );
    const large = async () => {
      await rig.append(poison(0, "z".repeat(6_000)), poison(0, "small"));
      const endOffset = await end(rig);
      await eventually(() => set.get(0)?.nextOffset === endOffset);
    };
    await large();
    expect(told()).toEqual([
      `0: 1 letter was cut to fit into ${DEAD_LETTER_TOPIC}, the last at offset 0 of ${TOPIC}, which alone has the whole record. Such a letter cannot be redriven; raise max.message.bytes of ${DEAD_LETTER_TOPIC}.`,
    ]);
    await large();
    expect(told()).toHaveLength(1);
    rig.passed_ms += MINUTE_MS;
    await large();
    expect(told()[1]).toStartWith(`0: 2 letters were cut to fit into ${DEAD_LETTER_TOPIC}, the last at offset 4 `);
    expect(await rig.metrics.text()).toMatch(/orders_dead_letters_cut_total\{partition="0",component="order-service"\} 3\n/);
  });
});
