import { describe, expect, test } from "bun:test";
import type { LogRecord, NewRecord } from "../../../src/log/port.ts";
import { DEAD_LETTER_HEADERS, REPLAY_HEADERS } from "../../../src/log/record-headers.ts";
import { systemClock } from "../../../src/system/clock.ts";
import { DeadLetters } from "../../../src/runtime/dead-letters/dead-letters.ts";
import { LetterSearch } from "../../../src/runtime/dead-letters/letter-search.ts";
import { ReplayedLetters } from "../../../src/runtime/dead-letters/replayed-letters.ts";
import { type FetchFault, type MemoryFaults, noFaults } from "../../log/memory/memory-log.ts";
import { committedRecords } from "../../support/events/records.ts";
import { DEAD_LETTER_TOPIC, eventually, poison, Rig, TOPIC } from "../rig.ts";
import { applied, end, offsets } from "./letters-rig.ts";

const LETTERS = 200;
const VALUES = Array.from({ length: LETTERS }, (_, n) => `bad ${n}`);
const NEVER = new AbortController().signal;

/** A rig whose letters are in their topic, and whose readers of either topic meet with what `onFetch` says. */
async function withLetters() {
  const onFetch = { [TOPIC]: (): FetchFault => "ok", [DEAD_LETTER_TOPIC]: (): FetchFault => "ok" };
  const faults: MemoryFaults = { ...noFaults, onFetch: (_, topic) => onFetch[topic as typeof TOPIC]() };
  const rig = new Rig(faults);
  await rig.prepare(1);
  await rig.append(...VALUES.map((value) => poison(0, value)));
  await (await applied(rig, "before")).close();
  expect(await lettersOf(rig)).toEqual(VALUES);
  return { rig, onFetch, [Symbol.asyncDispose]: () => rig[Symbol.asyncDispose]() };
}

async function lastOf(rig: Rig): Promise<LogRecord> {
  const records: LogRecord[] = [];
  for await (const { record } of committedRecords(rig.log, TOPIC)) records.push(record);
  return records.at(-1) as LogRecord;
}

const lettersOf = async (rig: Rig) => (await rig.deadLetters()).map(({ value }) => value);

/** Each fetch gives one record, and after so many of them one fails, or all do. */
function failingAfter(records: number, areAll = false) {
  const failing = { failures: 0 };
  let left = records;
  const onFetch = (): FetchFault => {
    if (left-- > 0) return "partial";
    failing.failures++;
    if (!areAll) left = records;
    return "reject";
  };
  return Object.assign(failing, { onFetch });
}

/** Calls it until it resolves, in a bounded number of tries. */
async function persist<T>(call: () => Promise<T>, tries_max: number): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await call();
    } catch (e) {
      if (tries >= tries_max) throw e;
    }
  }
}

describe("reading the letters back", () => {
  test("goes on where it was, however soon each connection is lost, and adds nothing", async () => {
    await using letters = await withLetters();
    const { rig, onFetch } = letters;
    const failing = failingAfter(20);
    onFetch[DEAD_LETTER_TOPIC] = failing.onFetch;
    await applied(rig, "again");
    expect(failing.failures).toBeGreaterThan(LETTERS / 20 - 2);
    onFetch[DEAD_LETTER_TOPIC] = () => "ok";
    expect(await lettersOf(rig)).toEqual(VALUES);
  });

  test("goes on among the letters that somebody else wrote, each of which is compared with its record", async () => {
    await using letters = await withLetters();
    const { rig, onFetch } = letters;
    const forged = Array.from({ length: 60 }, (_, n): NewRecord => {
      const { topic, partition, offset } = DEAD_LETTER_HEADERS;
      return { ...poison(0, "other"), headers: Object.entries({ [topic]: TOPIC, [partition]: "0", [offset]: String(n) }) };
    });
    await rig.log.producer().append(DEAD_LETTER_TOPIC, forged);
    const failing = failingAfter(20);
    onFetch[TOPIC] = failing.onFetch;
    const search = new LetterSearch({ log: rig.log, topic: TOPIC, deadLetterTopic: DEAD_LETTER_TOPIC, partition: 0 });
    await persist(() => search.find(LETTERS, NEVER), 5);
    expect([failing.failures, search.covers(LETTERS), search.covers(LETTERS - 1)]).toEqual([3, true, false]);
  });

  test("goes on among the records that a replay wrote, each of which is compared with the one before it", async () => {
    await using letters = await withLetters();
    const { rig, onFetch } = letters;
    const { id, topic, partition, offset } = REPLAY_HEADERS;
    const copies = VALUES.slice(0, 60).map((value, n) => ({
      ...poison(0, n === 59 ? "another" : value),
      headers: Object.entries({ [id]: "r", [topic]: TOPIC, [partition]: "0", [offset]: String(n) }),
    }));
    await rig.append(...copies);
    const records: LogRecord[] = [];
    for await (const { record } of committedRecords(rig.log, TOPIC)) if (record.offset >= LETTERS) records.push(record);
    const failing = failingAfter(20);
    onFetch[TOPIC] = failing.onFetch;
    const replayed = new ReplayedLetters(
      rig.log,
      TOPIC,
      0,
      records.map((record) => ({ record, code: "not_json", detail: "" })),
    );
    const left = await persist(() => replayed.leaveOut(), 5);
    expect([failing.failures, left.map(({ record }) => String(record.value))]).toEqual([2, ["another"]]);
  });

  test("goes on behind the last letter found, where there was none before", async () => {
    await using letters = await withLetters();
    const { rig } = letters;
    const search = new LetterSearch({ log: rig.log, topic: TOPIC, deadLetterTopic: DEAD_LETTER_TOPIC, partition: 0 });
    await search.find(0, NEVER);
    search.doubt();
    // The transaction's marker is lost, and a letter is in its place.
    rig.broker.topics.elect(DEAD_LETTER_TOPIC, 0, LETTERS);
    await rig.append(poison(0, "one more"));
    await (await applied(rig, "another")).close();
    await search.find(0, NEVER);
    expect(search.has(await lastOf(rig))).toBe(true);
  });

  test("begins anew at once where the topic lost just the last letter found", async () => {
    await using letters = await withLetters();
    const { rig } = letters;
    const search = new LetterSearch({ log: rig.log, topic: TOPIC, deadLetterTopic: DEAD_LETTER_TOPIC, partition: 0 });
    await search.find(0, NEVER);
    search.doubt();
    rig.broker.topics.elect(DEAD_LETTER_TOPIC, 0, LETTERS - 1);
    await expect(search.find(0, NEVER)).rejects.toMatchObject({ code: "LOG_DISAGREES" });
    await search.find(0, NEVER);
    expect([search.covers(LETTERS - 1), search.has(await lastOf(rig))]).toEqual([true, false]);
  });

  test("is tried again soon while it gets on, and else ever later", async () => {
    await using letters = await withLetters();
    const { rig, onFetch } = letters;
    onFetch[DEAD_LETTER_TOPIC] = failingAfter(20).onFetch;
    const slept_ms: number[] = [];
    const sleep = (ms: number) => {
      // It stops to get on after some time.
      if (slept_ms.push(ms) === 4) onFetch[DEAD_LETTER_TOPIC] = () => "reject";
      return slept_ms.length < 8 ? Promise.resolve() : new Promise<void>(() => {});
    };
    const deadLetters = new DeadLetters({
      log: rig.log,
      topic: TOPIC,
      deadLetterTopic: DEAD_LETTER_TOPIC,
      isOwner: () => true,
      random: () => 1,
      backoff: { backoff_ms_min: 1, backoff_ms_max: 1_000 },
      clock: { ...systemClock, sleep },
    });
    const record = await lastOf(rig);
    void deadLetters.deliver(0, [{ record: { ...record, offset: 0 }, code: "", detail: "" }], NEVER, () => undefined);
    await eventually(() => slept_ms.length === 8);
    expect(slept_ms).toEqual([1, 1, 1, 1, 2, 4, 8, 16]);
    await deadLetters.close();
  });

  test.each([
    [
      "was made anew",
      (rig: Rig) => {
        rig.broker.topics.deleteTopic(DEAD_LETTER_TOPIC);
        return rig.log.createTopic(DEAD_LETTER_TOPIC, 1);
      },
    ],
    ["lost its end under a new leader", async (rig: Rig) => rig.broker.topics.elect(DEAD_LETTER_TOPIC, 0, 120)],
    ["lost its end, and nobody says so", async (rig: Rig) => rig.broker.topics.loseTail(DEAD_LETTER_TOPIC, 0, 120)],
  ])("begins anew where the topic %s meanwhile: what is not there any more is appended", async (_, strike) => {
    await using letters = await withLetters();
    const { rig, onFetch } = letters;
    const failing = failingAfter(150, true);
    onFetch[DEAD_LETTER_TOPIC] = failing.onFetch;
    const set = rig.start("again", [0]);
    await eventually(() => failing.failures > 2);
    await strike(rig);
    // Other records take the place of letters that had been read.
    await rig.log.producer().append(
      DEAD_LETTER_TOPIC,
      Array.from({ length: LETTERS }, () => poison(0, "other")),
    );
    onFetch[DEAD_LETTER_TOPIC] = () => "ok";
    const endOffset = await end(rig);
    await eventually(() => set.get(0)?.nextOffset === endOffset && set.get(0)?.state === "running");
    const found = (await rig.deadLetters()).filter(({ value }) => value !== "other");
    expect(found.map(({ value }) => value)).toEqual(VALUES);
    expect(offsets(found)).toEqual(VALUES.map((__, n) => n));
  });
});

test("letters that were appended and lost before the rest of their batch was are appended again", async () => {
  const large = Array.from({ length: 8 }, (_, n) => `${n}`.repeat(100_000));
  const failing = { appends: 0 };
  const faults: MemoryFaults = {
    ...noFaults,
    onAppend: (_, topic) => (topic === DEAD_LETTER_TOPIC && failing.appends++ === 1 ? lose() : "ok"),
  };
  await using rig = new Rig(faults);
  const lose = () => {
    // The first append of the batch is in the topic; a new leader does not have all of it.
    rig.broker.topics.elect(DEAD_LETTER_TOPIC, 0, 2);
    return "reject" as const;
  };
  await rig.prepare(1);
  await rig.append(...large.map((value) => poison(0, value)));
  await applied(rig, "x");
  expect(failing.appends).toBeGreaterThan(2);
  expect((await lettersOf(rig)).map(([first]) => first)).toEqual(large.map(([first]) => first));
});
