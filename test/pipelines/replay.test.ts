import { expect, test } from "bun:test";
import type { NewRecord } from "../../src/log/port.ts";
import { brokerSuite } from "../support/brokers/broker.ts";
import { connectSuite, startPipeline } from "../support/brokers/connect.ts";
import { brokerBacking, totalLength } from "../support/brokers/foreign.ts";
import { type ExactRecord, headerOf, headersByName, readExact } from "../support/events/records.ts";
import { createTopic } from "../support/brokers/topics.ts";
import { waitUntil } from "../support/wait-until.ts";
import { append, content, file, PARTITIONS, replay, someRecords } from "./replaying.ts";

const TIMEOUT_MS = 120_000;

await connectSuite("replay", (connect) =>
  brokerSuite(`replay by ${connect.kind}`, (broker) => {
    const { brokers } = broker;
    const selections: { name: string; settings: Record<string, string>; matches: (record: ExactRecord) => boolean }[] = [
      {
        name: "a window of time",
        settings: { REPLAY_FROM: "2026-11-22T00:10:00Z", REPLAY_TO: "2026-11-22T01:20:00+01:00" },
        matches: ({ timestamp_ms }) =>
          timestamp_ms >= Date.parse("2026-11-22T00:10:00Z") && timestamp_ms < Date.parse("2026-11-22T00:20:00Z"),
      },
      {
        name: "two orders",
        settings: { REPLAY_ORDERS: "ORD-7,ORD-19" },
        matches: ({ key }) => key === "ORD-7" || key === "ORD-19",
      },
      {
        name: "one type",
        settings: { REPLAY_TYPES: "ORDER_CREATED" },
        matches: (record) =>
          (headerOf(record, "ce_type") ?? /^\{.*"event_type": "([A-Z_]+)"/.exec(record.value ?? "")?.[1]) === "ORDER_CREATED",
      },
    ];
    for (const { name, settings, matches } of selections) {
      test(
        `${name}, on ${PARTITIONS} partitions while they are written: exactly the records that match, in order`,
        async () => {
          await using backing = await brokerBacking(brokers);
          await createTopic(backing.log, backing.topic, PARTITIONS);
          const first = Date.parse("2026-11-22T00:00:00Z") / 1_000;
          await append(backing, backing.topic, someRecords(6_000, first));
          const enough = new AbortController();
          const writer = (async () => {
            for (let n = 0; !enough.signal.aborted; n += 100) await append(backing, backing.topic, someRecords(100, first + n));
          })();
          try {
            const { run, before, after } = await replay(connect, backing, settings);
            expect(run).toMatchObject({ ok: true });
            const expected = before.filter(matches);
            expect(expected.length).toBeGreaterThan(50);
            expect(after.map((record) => content(record, headerOf(record, "x-replayed-from-offset")))).toEqual(
              expected.map((record) => content(record, record.offset)),
            );
            for (const record of after) {
              expect(headerOf(record, "x-replay-id")).toBe("night-1");
              expect(headerOf(record, "x-replayed-from-topic")).toBe(backing.topic);
              expect(headerOf(record, "x-replayed-from-partition")).toBe(String(record.partition));
            }
          } finally {
            enough.abort();
            await writer;
          }
        },
        TIMEOUT_MS,
      );
    }

    test(
      "100,000 records arrive, each once, and it is told how fast",
      async () => {
        await using backing = await brokerBacking(brokers);
        await createTopic(backing.log, backing.topic, PARTITIONS);
        await append(backing, backing.topic, someRecords(100_000, Date.now() / 1_000 - 200_000));
        const { run, run_ms, before, after } = await replay(connect, backing, {});
        expect(run).toMatchObject({ ok: true });
        expect(after).toHaveLength(100_000);
        for (const [i, record] of after.entries()) {
          if (headerOf(record, "x-replayed-from-offset") === String(before[i]!.offset) && record.value === before[i]!.value)
            continue;
          throw new Error(`Record ${i} is ${JSON.stringify(record)}, not ${JSON.stringify(before[i])}.`);
        }
        console.info(
          `Replayed 100,000 records in ${(run_ms / 1_000).toFixed(1)} s: ${Math.round(1e8 / run_ms)}/s, its start included.`,
        );
      },
      TIMEOUT_MS,
    );

    const odd: readonly NewRecord[] = [
      { key: null, value: "no key", headers: [] },
      { key: "", value: "empty key", headers: [["e", ""]] },
      {
        key: "a tombstone",
        value: null,
        headers: [
          ["b", "1"],
          ["a", "2"],
        ],
      },
      { key: "an empty value", value: "", headers: [["", "a header without a name"]] },
      { key: Buffer.from([0, 0xff]), value: Buffer.from([0xff, 0xfe, 0]), headers: [["ünï", Buffer.from([0xff, 0, 0x80])]] },
      { key: "as it is", value: '{"a": 1.50}\n', headers: [["kafka_replyTopic", '{"b": 2.0}']] },
    ].map((record) => ({ ...record, partition: 5, timestamp_ms: 1_000 }) as NewRecord);

    test(
      "null, empty and binary keys, values and headers are as they were",
      async () => {
        await using backing = await brokerBacking(brokers);
        await createTopic(backing.log, backing.topic, PARTITIONS);
        await append(backing, backing.topic, odd);
        // The source keeps records of 1970, since they lie in its newest segment.
        const { run, before, after } = await replay(connect, backing, {});
        expect(run).toMatchObject({ ok: true });
        expect(before).toHaveLength(odd.length);
        expect(after.map((record) => content(record, headerOf(record, "x-replayed-from-offset")))).toEqual(
          before.map((record) => content(record, record.offset)),
        );
      },
      TIMEOUT_MS,
    );

    for (const [what, headers] of [
      [
        "two headers of one name",
        [
          ["twice", "1"],
          ["twice", "2"],
        ],
      ],
      ["a header that is null", [["twice", null]]],
    ] as const) {
      test(
        `${what} end the run and are named; with HEADERS_INEXACT=last it goes on`,
        async () => {
          await using backing = await brokerBacking(brokers);
          await createTopic(backing.log, backing.topic, PARTITIONS);
          await append(backing, backing.topic, [{ partition: 3, key: "k", value: "v", timestamp_ms: Date.now(), headers }]);
          const refused = await replay(connect, backing, {});
          expect(refused.run.ok).toBe(false);
          expect(refused.run.output).toContain(`${backing.topic}:3:0 has headers that cannot be written as they are`);
          expect(refused.after).toEqual([]);
          const { run, after } = await replay(connect, backing, { HEADERS_INEXACT: "last" });
          expect(run).toMatchObject({ ok: true });
          expect(after.map((record) => headersByName(record, "x-replay"))).toEqual([
            [["twice", headers.length === 2 ? "2" : ""]],
          ]);
        },
        TIMEOUT_MS,
      );
    }

    test(
      "a header by a name of Connect's own metadata ends the run",
      async () => {
        await using backing = await brokerBacking(brokers);
        await createTopic(backing.log, backing.topic, PARTITIONS);
        const headers = [["kafka_key", "ORD-2"]] as const;
        await append(backing, backing.topic, [{ partition: 3, key: "ORD-1", value: "v", timestamp_ms: Date.now(), headers }]);
        const { run, after } = await replay(connect, backing, { HEADERS_INEXACT: "last" });
        expect(run.ok).toBe(false);
        expect(run.output).toContain("has a header by the name of Connect's own metadata");
        expect(after).toEqual([]);
      },
      TIMEOUT_MS,
    );

    test(
      "a time that is none ends the run, and nothing is written",
      async () => {
        await using backing = await brokerBacking(brokers);
        await createTopic(backing.log, backing.topic, PARTITIONS);
        await append(backing, backing.topic, someRecords(10, 0));
        const { run, after } = await replay(connect, backing, { REPLAY_FROM: "yesterday" });
        expect(run.ok).toBe(false);
        expect(run.output).toContain("yesterday");
        expect(after).toEqual([]);
      },
      TIMEOUT_MS,
    );

    test(
      "run by hand onto its own source it does not replay what it wrote; health and metrics are served",
      async () => {
        await using backing = await brokerBacking(brokers);
        await createTopic(backing.log, backing.topic, PARTITIONS);
        await append(backing, backing.topic, someRecords(300, Date.now() / 1_000 - 1_000));
        const settings = { KAFKA_BROKERS: brokers, REPLAY_TOPIC: backing.topic, REPLAY_TARGET: backing.topic };
        await using pipeline = await startPipeline(connect, file, { ...settings, REPLAY_ID: backing.topic });
        await pipeline.ready();
        const received = async () => {
          const metrics = await (await fetch(`${pipeline.url}/metrics`)).text();
          return Number(/^input_received\{.*\} (\d+)$/m.exec(metrics)?.[1] ?? 0);
        };
        // Everything that was there, and everything that was added, has been read.
        await waitUntil("600 records to be read", async () => (await received()) >= 600, { wait_ms_max: 60_000 });
        await Bun.sleep(500);
        expect(await pipeline.stop()).toBe(0);
        expect(await readExact(backing.log, backing.topic)).toHaveLength(600);
      },
      TIMEOUT_MS,
    );

    /**
     * How many records came again; throws unless each came at least once, and first copies are in the source's order.
     */
    function repeated(before: readonly ExactRecord[], after: readonly ExactRecord[]): number {
      const firsts = new Map<string, ReturnType<typeof content>>();
      for (const record of after) {
        const one = content(record, headerOf(record, "x-replayed-from-offset"));
        const known = firsts.get(`${one.partition}:${one.from}`);
        if (known) expect(one).toEqual(known);
        else firsts.set(`${one.partition}:${one.from}`, one);
      }
      expect([...firsts.values()]).toEqual(before.map((record) => content(record, record.offset)));
      return after.length - firsts.size;
    }

    test(
      "killed with SIGKILL and started again with its id, it goes on: all is there, some of it twice, in order",
      async () => {
        await using backing = await brokerBacking(brokers);
        const target = `${backing.topic}.replay`;
        await createTopic(backing.log, backing.topic, PARTITIONS);
        await createTopic(backing.log, target, PARTITIONS);
        await append(backing, backing.topic, someRecords(6_000, Date.now() / 1_000 - 10_000));
        const settings = {
          KAFKA_BROKERS: brokers,
          REPLAY_ID: backing.topic,
          REPLAY_TOPIC: backing.topic,
          REPLAY_TARGET: target,
          REPLAY_RATE: "1000",
        };
        const replayed = (count: number) =>
          waitUntil(`${count} records`, async () => (await totalLength(backing.log, target)) >= count, { wait_ms_max: 60_000 });
        {
          await using pipeline = await startPipeline(connect, file, settings);
          await replayed(1);
          const first_ms = performance.now();
          await replayed(4_000);
          // The rate is 1,000 a second.
          expect(performance.now() - first_ms).toBeGreaterThan(1_500);
          pipeline.process.kill("SIGKILL");
        }
        expect(await totalLength(backing.log, target)).toBeLessThan(6_000);
        await using again = await startPipeline(connect, file, settings);
        const before = await readExact(backing.log, backing.topic);
        const all = async () =>
          new Set(
            (await readExact(backing.log, target)).map((one) => `${one.partition}:${headerOf(one, "x-replayed-from-offset")}`),
          ).size === before.length;
        await waitUntil("all records", all, { wait_ms_max: 60_000, interval_ms: 500 });
        expect(await again.stop()).toBe(0);
        // If it had begun anew, at least 4,000 records would be there twice.
        expect(repeated(before, await readExact(backing.log, target))).toBeLessThan(3_000);
      },
      TIMEOUT_MS,
    );

    test.skipIf(!broker.canRestart)(
      "the broker killed and started again in the middle: all is there, in order, and it ends well",
      async () => {
        await using backing = await brokerBacking(brokers);
        await createTopic(backing.log, backing.topic, PARTITIONS);
        await append(backing, backing.topic, someRecords(6_000, Date.now() / 1_000 - 10_000));
        const running = replay(connect, backing, { REPLAY_RATE: "1000" });
        const target = `${backing.topic}.replay`;
        await waitUntil("1,000 records", async () => (await totalLength(backing.log, target).catch(() => 0)) >= 1_000, {
          wait_ms_max: 60_000,
        });
        await broker.kill();
        await broker.start();
        const { run, before, after } = await running;
        expect(run).toMatchObject({ ok: true });
        repeated(before, after);
      },
      TIMEOUT_MS,
    );
  }),
);
