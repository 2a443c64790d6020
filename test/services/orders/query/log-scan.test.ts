import { describe, expect, test } from "bun:test";
import { systemClock } from "../../../../src/system/clock.ts";
import type { NewRecord } from "../../../../src/log/port.ts";
import { deadLetterPage } from "../../../../src/services/orders/dead-letters/dead-letter-listing.ts";
import { DeadLetterTally } from "../../../../src/services/orders/dead-letters/dead-letter-tally.ts";
import { LogScans } from "../../../../src/services/orders/query/log-scan.ts";
import { type FetchFault, MemoryBroker, noFaults } from "../../../log/memory/memory-log.ts";

const TOPIC = "orders";
const LETTERS = "orders.dlq";
const RECORDS = 200;
const VALUES = Array.from({ length: RECORDS }, (_, n) => `${n}`);

const letter = (value: string): NewRecord => ({
  partition: 0,
  key: "k",
  value,
  timestamp_ms: Number(value),
  headers: [["x-dead-letter-reason", "not_json"]],
});

/** Each fetch gives one record, and before every so many of them something happens. */
async function opened(each: number, happens: (broker: MemoryBroker, topic: string) => FetchFault) {
  let fetches = 0;
  const onFetch = (_: string, topic: string): FetchFault => (++fetches % each === 0 ? happens(broker, topic) : "partial");
  const broker = new MemoryBroker({ clock: systemClock, newUuid: () => "id", faults: { ...noFaults, onFetch } });
  const log = broker.connect("test");
  for (const topic of [TOPIC, LETTERS]) {
    await log.createTopic(topic, 1);
    await log.producer().append(topic, VALUES.map(letter));
  }
  return { broker, log, scans: new LogScans(log, systemClock) };
}

/** The readers lose their connections, and the log stays as it is. */
const lostConnections = (broker: MemoryBroker, topic: string): FetchFault => {
  broker.topics.loseTail(topic, 0, Number.POSITIVE_INFINITY);
  return "partial";
};

const readAll = async (scans: LogScans): Promise<string[]> => {
  const values: string[] = [];
  const to = await scans.run(TOPIC, (scan) => scan.read(0, 0, RECORDS, ({ value }) => values.push(String(value)) > 0, true));
  expect(to).toBe(RECORDS);
  return values;
};

describe("where connections do not last as long as a search", () => {
  test("it goes on, and passes on each record once", async () => {
    const { scans } = await opened(20, lostConnections);
    expect(await readAll(scans)).toEqual(VALUES);
  });

  test("each page of the dead letters is whole", async () => {
    const { scans } = await opened(5, lostConnections);
    const listed: string[] = [];
    let after: ReadonlyMap<number, number> | undefined;
    do {
      const { letters, next } = await deadLetterPage(scans, TOPIC, LETTERS, after, undefined, 30);
      for (const { value } of letters) listed.push(value && "text" in value ? value.text : "");
      after = next === undefined ? undefined : new Map([[0, Number(next.split(".")[1])]]);
    } while (after);
    expect(listed).toEqual(VALUES.toReversed());
  });
});

test("the dead letters are counted once each where counting is given up in between", async () => {
  let left = 30;
  const { scans } = await opened(1, () => (left-- > 0 ? "partial" : "reject"));
  const tally = new DeadLetterTally(scans, TOPIC, LETTERS);
  await tally.read();
  expect(tally.counts).toMatchObject({ letters: 30, isComplete: false });
  left = 1_000;
  await tally.read();
  expect(tally.counts).toMatchObject({ letters: RECORDS, isComplete: true });
});

test("a log that lost what was passed on is not read on", async () => {
  const { scans } = await opened(20, (broker, topic) => {
    broker.topics.elect(topic, 0, 10);
    return "partial";
  });
  await expect(readAll(scans)).rejects.toMatchObject({
    code: "LOG_UNAVAILABLE",
    message: expect.stringContaining("lost records"),
  });
});

test("a page of dead letters that the log does not give is none, and no part is taken for all", async () => {
  let isSilent = false;
  const { scans } = await opened(1, () => (isSilent ? "empty" : "partial"));
  isSilent = true;
  await expect(deadLetterPage(scans, TOPIC, LETTERS, undefined, undefined, 30)).rejects.toMatchObject({
    code: "LOG_UNAVAILABLE",
  });
});
