import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { systemClock } from "../../../src/system/clock.ts";
import { readiness } from "../../../src/http/health.ts";
import { type MemoryFaults, noFaults } from "../../log/memory/memory-log.ts";
import type { NewRecord } from "../../../src/log/port.ts";
import { DEAD_LETTER_EXTRA_HEADERS, DEAD_LETTER_HEADERS, REPLAY_HEADERS } from "../../../src/log/record-headers.ts";
import { deadLetterPage } from "../../../src/services/orders/dead-letters/dead-letter-listing.ts";
import { LogScans } from "../../../src/services/orders/query/log-scan.ts";
import { UnreadRecords } from "../../../src/services/orders/query/unread-records.ts";
import type { PartitionView } from "../../../src/runtime/held-partitions.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { orderCreated, recordOf } from "../../support/orders.ts";
import { answerFor, DEAD_LETTER_TOPIC, eventually, poison, Rig, TOPIC } from "../rig.ts";

const { offset: OFFSET, partition: PARTITION, topic: ORIGIN, reason: REASON } = DEAD_LETTER_HEADERS;
const { cut: CUT, lastOffset: LAST_OFFSET } = DEAD_LETTER_EXTRA_HEADERS;
const MINUTE_MS = 60_000;

const end = async (rig: Rig, partition = 0): Promise<number> => (await rig.log.watermarks(TOPIC))[partition]!.endOffset;

/** Partition 0 applied to its end by a store with that name. */
async function applied(rig: Rig, name: string) {
  const set = rig.start(name, [0]);
  const endOffset = await end(rig);
  await eventually(() => set.get(0)?.nextOffset === endOffset && set.get(0)?.state === "running");
  return set;
}

/** What the topic has, and that a store made anew adds nothing to it. */
async function lettersOnce(rig: Rig) {
  const letters = await rig.deadLetters();
  await (await applied(rig, `again-${letters.length}`)).close();
  expect(await rig.deadLetters()).toEqual(letters);
  return letters;
}

const offsets = (letters: Awaited<ReturnType<Rig["deadLetters"]>>) => letters.map(({ headers }) => Number(headers.get(OFFSET)));

/** Somebody else's record in the dead-letter topic, by default a letter for ORD-1's poison `{`. */
const forged = (headers: Record<string, string>, value = "{", key = "ORD-1"): NewRecord => ({
  partition: 0,
  key,
  value,
  headers: Object.entries({ [REASON]: "not_json", [ORIGIN]: TOPIC, [PARTITION]: "0", ...headers }),
  timestamp_ms: 1,
});

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
      // Of half at least of what the topic takes there is a value, and of most where it says how much that is.
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
  const listed = async (rig: Rig) =>
    (await deadLetterPage(new LogScans(rig.log, systemClock), TOPIC, DEAD_LETTER_TOPIC, undefined, undefined, 9)).letters;

  test("is shown as cut, with the record's sizes, and with why no command redrives it", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    rig.broker.topics.setRecordBytesMax(DEAD_LETTER_TOPIC, 3_000);
    await rig.append(
      { ...poison(0, "z".repeat(6_000)), key: "k".repeat(4_000) },
      poison(0, "v".repeat(2_000) + "w".repeat(2_000)),
    );
    rig.broker.topics.landUndecodable(TOPIC, 0, 5, "It is none.");
    await rig.append(poison(0, "small"));
    await applied(rig, "x");
    const byOrigin = new Map((await listed(rig)).map((letter) => [letter.origin.offset, letter]));
    const [both, value, batch, whole] = [0, 1, 2, 7].map((offset) => byOrigin.get(offset));
    const cut = (offset: number) =>
      `It says that it does not have the whole record, as one that was cut to fit: that is in ${TOPIC} only, partition 0, offset ${offset}. So it is not redriven.`;
    expect(both).toMatchObject({
      key: { bytes: 4_000, isCut: true },
      value: { bytes: 6_000, isCut: true, text: "" },
      redrive: null,
      noRedrive: cut(0),
    });
    expect(value).toMatchObject({
      key: { bytes: 5, isCut: false },
      value: { bytes: 4_000, isCut: true },
      redrive: null,
      noRedrive: cut(1),
    });
    expect(batch).toMatchObject({
      redrive: null,
      noRedrive: `It stands for a batch of ${TOPIC}, partition 0, offsets 2 to 6, that cannot be decoded: there is no record to redrive.`,
    });
    expect(whole).toMatchObject({ redrive: expect.stringMatching(/^bun run redrive /), noRedrive: null });
  });

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

describe("a letter that cannot be appended", () => {
  const denying = () => {
    const denied = { topic: "", fencingId: "" };
    const faults: MemoryFaults = { ...noFaults, isDenied: (_, what) => what === denied.topic || what === denied.fencingId };
    return { denied, faults };
  };

  test.each(["topic", "fencingId"] as const)(
    "for want of a right to the %s blocks its partition alone, with the cause, until it can",
    async (right) => {
      const began_ms = performance.now();
      const { denied, faults } = denying();
      await using rig = new Rig(faults);
      await rig.prepare(2);
      denied[right] = right === "topic" ? DEAD_LETTER_TOPIC : `${DEAD_LETTER_TOPIC}.0`;
      const set = rig.start("x", [0, 1]);
      await eventually(() => readiness(set).status === "ready");
      await rig.append(poison(0, "{"), orderCreated(), recordOf(orderCreated({ orderId: "ORD-9" }), { partition: 1 }));
      await eventually(() => set.get(0)?.state === "blocked" && answerFor(set, "ORD-9", 1) === "new");
      // Not only as it takes long.
      expect(performance.now() - began_ms).toBeLessThan(1_900);
      const why = expect.stringMatching(/^Appending its dead letters fails: .*right/);
      expect(readiness(set)).toMatchObject({
        status: "blocked",
        reason: why,
        partitions: [{ state: "blocked", reason: why }, {}],
      });
      expect(answerFor(set, "ORD-1", 0)).toBe("PARTITION_BLOCKED");
      // What it holds unread may be of any order, until it is searched.
      expect(answerFor(set, "ORD-1", 1)).toBe("PARTITION_BLOCKED");
      expect(answerFor(set, "ORD-7", 1)).toBe("PARTITION_BLOCKED");
      const unread = new UnreadRecords(new LogScans(rig.log, systemClock), TOPIC);
      const blocked = [set.get(0) as PartitionView];
      expect(answerFor(set, "ORD-1", 1, await unread.without("ORD-1", blocked, "192.0.2.1"))).toBe("PARTITION_BLOCKED");
      expect(answerFor(set, "ORD-7", 1, await unread.without("ORD-7", blocked, "192.0.2.1"))).toBe("ORDER_NOT_FOUND");
      const told = () => rig.warnings.filter((warning) => warning.startsWith("0: Appending its dead letters fails"));
      expect(told()).toHaveLength(1);
      rig.passed_ms = MINUTE_MS;
      await eventually(() => told().length === 2);
      expect(set.standstill).toBeUndefined();
      denied[right] = "";
      await eventually(() => readiness(set).status === "ready" && answerFor(set, "ORD-1", 0) === "new");
      expect(offsets(await lettersOnce(rig))).toEqual([0]);
    },
  );

  test("as it takes long blocks it too", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    const set = await applied(rig, "x");
    const real = rig.log.describe.bind(rig.log);
    const waited = Promise.withResolvers<void>();
    rig.log.describe = async (topic) => {
      await waited.promise;
      return real(topic);
    };
    await rig.append(poison(0, "{"));
    await eventually(() => set.get(0)?.wanted === undefined);
    expect(set.get(0)?.state).toBe("running");
    rig.passed_ms = 2_000;
    expect(set.get(0)).toMatchObject({ state: "blocked", hindered: "Appending its dead letters takes longer than 2 s." });
    waited.resolve();
    await eventually(() => set.get(0)?.state === "running" && set.get(0)?.nextOffset === 1);
  });

  test("since its topic was deleted waits until it is there again, and has it created", async () => {
    await using rig = new Rig();
    rig.createDeadLetterTopic = () => rig.log.createTopic(DEAD_LETTER_TOPIC, 1);
    await rig.prepare(1);
    await rig.append(poison(0, "a"));
    const set = await applied(rig, "x");
    rig.broker.topics.deleteTopic(DEAD_LETTER_TOPIC);
    await rig.append(poison(0, "b"));
    await eventually(() => set.get(0)?.nextOffset === 2);
    expect((await rig.deadLetters()).map(({ value }) => value)).toEqual(["b"]);
  });
});

describe("somebody else's records in the dead-letter topic silence nothing", () => {
  test.each<[string, NewRecord[]]>([
    ["a far offset", [forged({ [OFFSET]: "999999" })]],
    ["the same offset with other bytes", [forged({ [OFFSET]: "0" }, "other"), forged({ [OFFSET]: "0" }, "{", "ORD-2")]],
    ["no offset, and no text", [forged({ [OFFSET]: "x" }), forged({ [OFFSET]: "-1" }), forged({ [OFFSET]: "1e3" }), forged({})]],
    ["another topic or partition", [forged({ [OFFSET]: "0", [ORIGIN]: "other" }), forged({ [OFFSET]: "0", [PARTITION]: "3" })]],
    ["a cut that has other bytes", [forged({ [OFFSET]: "0", [CUT]: "value=9" }, "}")]],
    ["a batch that is none", [forged({ [OFFSET]: "0", [REASON]: "undecodable_batch", [LAST_OFFSET]: "7" })]],
    ["an earlier record that is another", [forged({ [OFFSET]: "0" }, "other"), forged({ [OFFSET]: "1" }, "other")]],
  ])("%s", async (_, records) => {
    await using rig = new Rig();
    await rig.prepare(1);
    await rig.append(poison(0, "{"), orderCreated({ orderId: "ORD-9" }), poison(0, "["));
    await rig.log.producer().append(DEAD_LETTER_TOPIC, records);
    await applied(rig, "x");
    const ours = (await lettersOnce(rig)).slice(records.length);
    expect(ours.map(({ value }) => value)).toEqual(["{", "["]);
  });

  test("nor do many that name an earlier record hide what was delivered", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    await rig.append(poison(0, "a"), poison(0, "b"));
    const before = await applied(rig, "x");
    await before.close();
    // Further than one step of the search.
    const many = Array.from({ length: 3_000 }, () => forged({ [OFFSET]: "0" }, "other"));
    while (many.length > 0) await rig.log.producer().append(DEAD_LETTER_TOPIC, many.splice(0, 1_000));
    // As if the transaction behind the second letter had not come to pass.
    const db = new Database(rig.storePath("x", 0));
    const checksum = Bun.hash.crc32("a", Bun.hash.crc32("ORD-1"));
    db.run("UPDATE position SET next_offset = 1, last_offset = 0, last_checksum = ?", [checksum]);
    db.close();
    await applied(rig, "x");
    expect((await rig.deadLetters()).map(({ value }) => value).filter((value) => value !== "other")).toEqual(["a", "b"]);
  });

  test("a record's own headers of these names make its letter no other", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    const headers = [LAST_OFFSET, CUT, OFFSET, REASON].map((name) => [name, "7"] as const);
    await rig.append({ ...poison(0, "{"), headers });
    await applied(rig, "x");
    expect(offsets(await lettersOnce(rig))).toEqual([0]);
  });
});

describe("once", () => {
  test("also after the dead-letter topic has grown", async () => {
    await using rig = new Rig();
    await rig.log.createTopic(TOPIC, 3);
    await rig.log.createTopic(DEAD_LETTER_TOPIC, 1);
    const bad = (from: number) => rig.append(...Array.from({ length: 4 }, (_, n) => poison(2, `bad ${from + n}`)));
    const through = async (name: string) => {
      const set = rig.start(name, [2]);
      const endOffset = await end(rig, 2);
      await eventually(() => set.get(2)?.nextOffset === endOffset);
      await set.close();
    };
    for (const [grown, count] of [1, 2, 3].entries()) {
      await rig.log.addPartitions(DEAD_LETTER_TOPIC, count);
      await bad(4 * grown);
      await through("x");
    }
    await through("again");
    const letters = await rig.deadLetters();
    expect(offsets(letters).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 12 }, (_, n) => n));
  });

  test("where a replay wrote the same poison into its topic again, and again; but not where a record only says so", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    const replayed = (value: string, from: number, topic = TOPIC): NewRecord => ({
      ...poison(0, value),
      headers: [
        [REPLAY_HEADERS.id, "r-1"],
        [REPLAY_HEADERS.topic, topic],
        [REPLAY_HEADERS.partition, "0"],
        [REPLAY_HEADERS.offset, String(from)],
      ],
    });
    await rig.append(
      poison(0, "a"),
      poison(0, "b"),
      replayed("a", 0),
      replayed("b", 1),
      replayed("a", 2),
      replayed("c", 0),
      replayed("b", 7),
      replayed("a", 0, "other"),
    );
    await applied(rig, "x");
    expect(offsets(await lettersOnce(rig))).toEqual([0, 1, 5, 6, 7]);
  });

  test("50,000 in some seconds", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    for (let n = 0; n < 50; n++) await rig.append(...Array.from({ length: 1_000 }, () => poison(0, "hi")));
    const began_ms = performance.now();
    const set = rig.start("x", [0]);
    // One by one they take minutes.
    await waitUntil("the letters", () => set.get(0)?.nextOffset === 50_000, { wait_ms_max: 25_000 });
    expect(performance.now() - began_ms).toBeLessThan(25_000);
    expect((await rig.deadLetters()).length).toBe(50_000);
  });
});
