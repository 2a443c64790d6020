import { expect, test } from "bun:test";
import { systemClock } from "../../../src/system/clock.ts";
import {
  batchOf,
  eventually,
  fetchOn,
  fetchSome,
  newRecord,
  newRecords,
  readAll,
  rejection,
  TEST_TIMEOUT_MS,
  values,
} from "./harness.ts";
import type { ContractContext } from "./log-contract.ts";

const WAIT_MS = 400;

/** What may hinder for a while: a deadline, another writer, a partition without a leader, an open transaction. */
export function hindranceContract({ harness, open }: ContractContext): void {
  test(
    "nothing is sent once the deadline has come, by whatever producer",
    async () => {
      const log = await open();
      const topic = harness.uniqueName("too-late");
      await log.createTopic(topic, 1);
      const [producer, fenced] = [log.producer(), await log.fencedProducer(harness.uniqueName("fence"))];
      for (const late_ms of [0, 10_000]) {
        const deadline_ms = systemClock.now_ms() - late_ms;
        const late = newRecords("late", 2);
        expect(await rejection(producer.append(topic, late, deadline_ms))).toMatchObject({ code: "LOG_UNAVAILABLE" });
        expect(await rejection(fenced.append(topic, late, deadline_ms))).toMatchObject({ code: "LOG_UNAVAILABLE" });
        const outcomes = await producer.send(topic, late, deadline_ms);
        expect(outcomes.map((outcome) => "error" in outcome && outcome.error.code)).toEqual([
          "LOG_UNAVAILABLE",
          "LOG_UNAVAILABLE",
        ]);
      }
      const soon_ms = systemClock.now_ms() + 10_000;
      await producer.append(topic, [newRecord("a")], soon_ms);
      await producer.send(topic, [newRecord("b")], soon_ms);
      await fenced.append(topic, [newRecord("c")], soon_ms);
      expect(values(await readAll(log, topic))).toEqual(["a", "b", "c"]);
    },
    TEST_TIMEOUT_MS,
  );

  const { hinderAppends, withoutLeader, openTransaction } = harness;
  if (hinderAppends === undefined) {
    test.skip("hindered appends: skipped, this harness cannot stand in an append's way", () => {});
  } else {
    test(
      "an append that cannot be carried out is given up by its deadline, and never lands",
      async () => {
        const log = await open();
        const topic = harness.uniqueName("hindered");
        await log.createTopic(topic, 1);
        const [producer, fenced] = [log.producer(), await log.fencedProducer(harness.uniqueName("fence"))];
        const goOn = await hinderAppends(topic);
        const began_ms = performance.now();
        const attempts = [
          rejection(producer.append(topic, [newRecord("a")], systemClock.now_ms() + WAIT_MS)),
          rejection(fenced.append(topic, [newRecord("b")], systemClock.now_ms() + WAIT_MS)),
          producer.send(topic, [newRecord("c")], systemClock.now_ms() + WAIT_MS),
        ];
        const unavailable = { code: "LOG_UNAVAILABLE" };
        expect(await Promise.all(attempts)).toMatchObject([unavailable, unavailable, [{ error: unavailable }]]);
        expect(performance.now() - began_ms).toBeLessThan(WAIT_MS + 1_000);
        await goOn();
        await Bun.sleep(WAIT_MS);
        expect(await producer.append(topic, [newRecord("later")])).toEqual([0]);
        expect(values(await readAll(log, topic))).toEqual(["later"]);
      },
      TEST_TIMEOUT_MS,
    );
  }

  if (withoutLeader === undefined) {
    test.skip("partitions without a leader: skipped, this harness cannot take one away", () => {});
  } else {
    test(
      "a partition without a leader says so and concerns no other: ends, sends, reads",
      async () => {
        const log = await open();
        const topic = harness.uniqueName("leaderless");
        await log.createTopic(topic, 2);
        const producer = log.producer();
        const both = (value: string) => [0, 1].map((partition) => newRecord(value, { partition }));
        await producer.send(topic, both("before"));
        const reader = log.reader(topic);
        const positions = new Map<number, number>([
          [0, 0],
          [1, 0],
        ]);
        await eventually("both partitions to be read", async () => {
          for (const result of await fetchOn(reader, positions)) positions.set(result.partition, batchOf(result).nextOffset);
          return [...positions.values()].every((position) => position === 1);
        });
        const lead = await withoutLeader(topic, 0);
        await eventually("partition 0 to be unavailable", async () => "unavailable" in (await log.ends(topic)).partitions[0]!);
        expect((await log.ends(topic)).partitions[1]).toMatchObject({ startOffset: 0, endOffset: 1 });
        expect(await rejection(log.watermarks(topic))).toMatchObject({ code: "LOG_UNAVAILABLE" });
        const outcomes = await producer.send(topic, both("meanwhile"), systemClock.now_ms() + 3_000);
        expect(outcomes).toMatchObject([{ error: { code: "LOG_UNAVAILABLE" } }, { offset: 1 }]);
        const told = new Set<string>();
        await eventually("what each partition has to tell", async () => {
          for (const result of await reader.fetch(positions, { wait_ms_max: 500, partition_bytes_max: 1_000 }))
            told.add(`${result.partition} ${"batch" in result ? values(result.batch.records).join() : Object.keys(result)[1]}`);
          return told.has("0 unavailable") && told.has("1 meanwhile");
        });
        await lead();
        const again = await eventually("partition 0 to take records", async () => {
          const [outcome] = await producer.send(topic, [newRecord("after")], systemClock.now_ms() + 10_000);
          return "offset" in outcome! ? outcome : undefined;
        });
        expect(again.offset).toBe(1);
        const after = await eventually("partition 0 to be read again", async () =>
          (await fetchOn(reader, new Map([[0, 1]]))).find((result) => "batch" in result),
        );
        expect(values(batchOf(after).records)).toEqual(["after"]);
        expect(batchOf(after).leaderEpoch).toBe(again.leaderEpoch);
        await reader.close();
      },
      TEST_TIMEOUT_MS,
    );
  }

  if (openTransaction === undefined) {
    test.skip("open transactions: skipped, this harness has no other program that could open one", () => {});
  } else {
    for (const isCommitted of [true, false]) {
      test(
        `another program's open transaction counts at the end and is not read; once ${isCommitted ? "committed it is" : "aborted it never is"}`,
        async () => {
          const log = await open();
          const topic = harness.uniqueName("transaction");
          await log.createTopic(topic, 1);
          const producer = log.producer();
          await producer.append(topic, [newRecord("before")]);
          const end = await openTransaction(topic, ["in-0", "in-1"]);
          expect(await producer.append(topic, [newRecord("after")])).toEqual([3]);
          expect((await log.ends(topic)).partitions).toMatchObject([{ startOffset: 0, endOffset: 4, stableOffset: 1 }]);
          expect(await log.watermarks(topic)).toEqual([{ startOffset: 0, endOffset: 4 }]);
          const [result] = await fetchSome(log, topic, new Map([[0, 0]]));
          expect(values(batchOf(result!).records)).toEqual(["before"]);
          expect(batchOf(result!).stableOffset).toBe(1);
          // Whoever waits there for more is told that there is more, and that nobody can read it yet.
          const [hidden] = await fetchSome(log, topic, new Map([[0, 1]]));
          expect(batchOf(hidden!)).toMatchObject({ nextOffset: 1, endOffset: 4, stableOffset: 1, records: [] });
          const all = log.reader(topic, "uncommitted");
          const [begun] = await fetchOn(all, new Map([[0, 1]]));
          expect(values(batchOf(begun!).records).slice(0, 2)).toEqual(["in-0", "in-1"]);
          await all.close();
          await end(isCommitted);
          await eventually("the stable offset at the end", async () => {
            const [ends] = (await log.ends(topic)).partitions;
            return ends && "stableOffset" in ends && ends.stableOffset === ends.endOffset;
          });
          const inside = isCommitted ? ["in-0", "in-1"] : [];
          expect(values(await readAll(log, topic))).toEqual(["before", ...inside, "after"]);
        },
        TEST_TIMEOUT_MS,
      );
    }
  }
}
