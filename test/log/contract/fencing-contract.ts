import { expect, test } from "bun:test";
import { newRecord, newRecords, readAll, rejection, TEST_TIMEOUT_MS, values } from "./harness.ts";
import type { ContractContext } from "./log-contract.ts";

export function fencingContract({ harness, open }: ContractContext): void {
  test(
    "a fenced producer appends like another; what it appended is read once and in order",
    async () => {
      const log = await open();
      const topic = harness.uniqueName("fenced-alone");
      await log.createTopic(topic, 2);
      const producer = await log.fencedProducer(harness.uniqueName("fence"));
      const offsets: number[] = [];
      for (let count = 0; count < 3; count++) {
        offsets.push(...(await producer.append(topic, newRecords(`a-${count}`, 2, { partition: 1 }))));
      }
      const read = await readAll(await open(), topic, 1);
      expect(values(read)).toEqual(["a-0-0", "a-0-1", "a-1-0", "a-1-1", "a-2-0", "a-2-1"]);
      expect(read.map((record) => record.offset)).toEqual(offsets);
      for (let pair = 0; pair < offsets.length; pair += 2) expect(offsets[pair + 1]).toBe(offsets[pair]! + 1);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "once another holds the fencing id, the older holder is refused for good, and nothing of it lands",
    async () => {
      const [old, young] = [await open(), await open()];
      const topic = harness.uniqueName("fenced");
      const fencingId = harness.uniqueName("fence");
      await old.createTopic(topic, 1);
      const older = await old.fencedProducer(fencingId);
      await older.append(topic, [newRecord("older-1")]);
      const newer = await young.fencedProducer(fencingId);
      for (let count = 0; count < 2; count++) {
        expect(await rejection(older.append(topic, [newRecord("older-late")]))).toMatchObject({ code: "PRODUCER_FENCED" });
      }
      await newer.append(topic, [newRecord("newer-1")]);
      expect(await rejection(older.append(topic, [newRecord("older-later")]))).toMatchObject({ code: "PRODUCER_FENCED" });
      await newer.append(topic, [newRecord("newer-2")]);
      expect(values(await readAll(young, topic))).toEqual(["older-1", "newer-1", "newer-2"]);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "fencing ids do not touch each other, nor producers without one",
    async () => {
      const log = await open();
      const topic = harness.uniqueName("fences");
      await log.createTopic(topic, 1);
      const plain = log.producer();
      const one = await log.fencedProducer(harness.uniqueName("fence"));
      const two = await log.fencedProducer(harness.uniqueName("fence"));
      await one.append(topic, [newRecord("one")]);
      await two.append(topic, [newRecord("two")]);
      await plain.append(topic, [newRecord("plain")]);
      await one.append(topic, [newRecord("one again")]);
      expect(values(await readAll(log, topic))).toEqual(["one", "two", "plain", "one again"]);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    "appends raced with the taking over: all that the older was told is kept is before all of the newer",
    async () => {
      const [old, young] = [await open(), await open()];
      const topic = harness.uniqueName("fence-race");
      const fencingId = harness.uniqueName("fence");
      await old.createTopic(topic, 1);
      const older = await old.fencedProducer(fencingId);
      const told: string[] = [];
      const racing = (async () => {
        for (let count = 0; ; count++) {
          try {
            await older.append(topic, [newRecord(`older-${count}`)]);
          } catch (error) {
            return { error, undecided: `older-${count}` };
          }
          told.push(`older-${count}`);
        }
      })();
      await Bun.sleep(50);
      const newer = await young.fencedProducer(fencingId);
      await newer.append(topic, [newRecord("newer-0")]);
      const { error, undecided } = await racing;
      const code = (error as { code?: unknown }).code;
      expect(["PRODUCER_FENCED", "APPEND_OUTCOME_UNKNOWN"]).toContain(String(code));
      await newer.append(topic, [newRecord("newer-1")]);
      const read = values(await readAll(young, topic));
      const maybe = code === "APPEND_OUTCOME_UNKNOWN" && read.includes(undecided) ? [undecided] : [];
      expect(read).toEqual([...told, ...maybe, "newer-0", "newer-1"]);
    },
    TEST_TIMEOUT_MS,
  );
}
