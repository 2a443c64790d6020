import { expect, test } from "bun:test";
import { Kafka, logLevel, Partitioners } from "kafkajs";
import { systemClock } from "../../../src/system/clock.ts";
import { AppError } from "../../../src/errors.ts";
import { Appender } from "../../../src/log/append/appender.ts";
import type { Log } from "../../../src/log/port.ts";
import { newRecord, newRecords, readAll, values } from "../../log/contract/harness.ts";
import { brokerSuite } from "../../support/brokers/broker.ts";
import { kafkaLogs } from "../../support/brokers/kafka-log.ts";
import { apiKeys, type TcpProxy } from "../../support/brokers/tcp-proxy.ts";
import { waitUntil } from "../../support/wait-until.ts";

/* The trap of kafkajs 2.2.4 (decision 1) that lies in its idempotent producer. */

const TIMEOUT_MS = 120_000;

/** Every appended value, sorted by what its producer said of it. */
class Ledger {
  readonly acknowledged: { readonly partition: number; readonly offset: number; readonly value: string }[] = [];
  readonly unknown: string[] = [];
  readonly refused: string[] = [];

  /** Records what `append` promised for the values, all of them in `partition`. */
  async note(partition: number, written: readonly string[], append: Promise<number[]>): Promise<void> {
    try {
      for (const [i, offset] of (await append).entries())
        this.acknowledged.push({ partition, offset, value: written[i] as string });
    } catch (e) {
      const code = e instanceof AppError ? e.code : String(e);
      if (code !== "APPEND_OUTCOME_UNKNOWN" && code !== "LOG_UNAVAILABLE") throw e;
      (code === "LOG_UNAVAILABLE" ? this.refused : this.unknown).push(...written);
    }
  }

  /** Holds all promises to the log. */
  async audit(log: Log, topic: string): Promise<void> {
    const count = await log.partitionCount(topic);
    const partitions = await Promise.all(Array.from({ length: count }, (_, partition) => readAll(log, topic, partition)));
    const times = new Map<string, number>();
    for (const value of partitions.flatMap(values)) times.set(value, (times.get(value) ?? 0) + 1);
    const misplaced = this.acknowledged.filter(
      ({ partition, offset, value }) => String(partitions[partition]?.[offset]?.value) !== value,
    );
    expect({ misplaced: misplaced.slice(0, 3) }).toEqual({ misplaced: [] });
    expect({ doubled: [...times].filter(([, n]) => n > 1).slice(0, 3) }).toEqual({ doubled: [] });
    expect({ refusedYetThere: this.refused.filter((value) => times.has(value)) }).toEqual({ refusedYetThere: [] });
  }
}

interface SendFault {
  readonly name: string;
  /** The time within which the send has to be done. */
  readonly patience_ms: number;
  readonly arm: (proxy: TcpProxy) => void;
}

const LONG_MS = 20_000;
const SHORT_MS = 500;
const refuseAfter = (lost: Promise<void>, proxy: TcpProxy) => void lost.then(() => proxy.refuse());

const quickFaults: readonly SendFault[] = [
  { name: "the request is lost", patience_ms: LONG_MS, arm: (proxy) => void proxy.loseNextRequest(apiKeys.produce) },
  { name: "the answer is lost", patience_ms: LONG_MS, arm: (proxy) => void proxy.loseNextAnswer(apiKeys.produce) },
  {
    name: "given up, not taken",
    patience_ms: SHORT_MS,
    arm: (proxy) => refuseAfter(proxy.loseNextRequest(apiKeys.produce), proxy),
  },
  { name: "given up, taken", patience_ms: SHORT_MS, arm: (proxy) => refuseAfter(proxy.loseNextAnswer(apiKeys.produce), proxy) },
  { name: "too late to be sent", patience_ms: 0, arm: () => undefined },
];

/** The silence is noticed only after the longest time that a request may take, 4 s, so it is tried once. */
const silence: SendFault = {
  name: "given up, in silence",
  patience_ms: SHORT_MS,
  arm: (proxy) => void proxy.hangNextAnswer(apiKeys.produce),
};

await brokerSuite("kafkajs' traps: the producer", (broker) => {
  const uniqueName = (prefix: string) => `${prefix}-${crypto.randomUUID()}`;

  test.skipIf(!broker.proxied)(
    "sequence rolled back after a send that gave up: whatever a send met before, each acknowledged record is in the log once, at its offset",
    async () => {
      await using logs = await kafkaLogs(broker);
      const topic = uniqueName("sequence");
      await logs.direct.createTopic(topic, 2);
      const producer = logs.proxied.producer();
      const ledger = new Ledger();
      let sends = 0;
      const send = async (partition: number, count: number, patience_ms: number) => {
        const records = newRecords(`${sends++}`, count, { partition });
        const written = records.map(({ value }) => String(value));
        await ledger.note(partition, written, producer.append(topic, records, systemClock.now_ms() + patience_ms));
      };
      for (const partition of [0, 1]) await send(partition, 1, LONG_MS);
      for (let round = 0; round < 5; round++) {
        for (const { patience_ms, arm } of round === 0 ? [silence] : quickFaults) {
          // The send after a fault has as many records as the send that met it; otherwise the broker itself would
          // notice a sequence that was rolled back.
          const [partition, count] = [(round >> 1) % 2, 1 + (round % 2)];
          arm(logs.proxy);
          await send(partition, count, patience_ms);
          logs.proxy.pass();
          await send(partition, count, LONG_MS);
        }
      }
      // The faults struck; a slow machine may miss one.
      expect(ledger.unknown.length).toBeGreaterThanOrEqual(9);
      expect(ledger.refused.length).toBeGreaterThanOrEqual(6);
      await ledger.audit(logs.direct, topic);
    },
    TIMEOUT_MS,
  );

  test.skipIf(!broker.proxied)(
    "concurrent sends lose acknowledged records: what hundreds append at once, with deadlines, through cuts and lost answers, is kept",
    async () => {
      await using logs = await kafkaLogs(broker);
      const topic = uniqueName("concurrent");
      await logs.direct.createTopic(topic, 2);
      const appender = new Appender({
        producer: logs.proxied.producer(),
        topic,
        clock: systemClock,
        queue_records_max: 10_000,
        batch_records_max: 50,
        value_bytes_max: 1_000_000,
      });
      const ledger = new Ledger();
      const ending = { soon: false };
      const clients = Array.from({ length: 200 }, async (_, client) => {
        for (let i = 0; !ending.soon; i++) {
          const [partition, value] = [client % 2, `${client}.${i}`];
          const record = newRecord(value, { partition });
          const append = appender.append(record, systemClock.now_ms() + 100 + (client % 10) * 100);
          await ledger.note(
            partition,
            [value],
            append.then(({ offset }) => [offset]),
          );
          await Bun.sleep(5);
        }
      });
      for (let round = 0; round < 12; round++) {
        await Bun.sleep(100);
        if (round % 4 === 3) logs.proxy.cut();
        else await Promise.race([loseSome(logs.proxy, round), Bun.sleep(2_000)]);
        if (round % 4 === 2) await Bun.sleep(300);
        logs.proxy.pass();
      }
      // The end is set by count, not by time: a slow machine takes as long as it needs, well past the last fault.
      const enough = Math.max(1_000, ledger.acknowledged.length + 200);
      await waitUntil("appends again", () => ledger.acknowledged.length >= enough, { wait_ms_max: 60_000 });
      ending.soon = true;
      await Promise.all(clients);
      await appender.close(10_000);
      expect(ledger.unknown.length).toBeGreaterThan(0);
      await ledger.audit(logs.direct, topic);
    },
    TIMEOUT_MS,
  );

  test.skipIf(!broker.proxied)(
    "kafkajs itself loses them: its idempotent producer acknowledges a record that the log does not hold",
    async () => {
      await using logs = await kafkaLogs(broker);
      const topic = uniqueName("naive");
      await logs.direct.createTopic(topic, 1);
      const retry = { retries: 1, initialRetryTime: 20 };
      const kafka = new Kafka({ brokers: [`127.0.0.1:${logs.proxy.port}`], logLevel: logLevel.NOTHING, retry });
      const producer = kafka.producer({ idempotent: true, createPartitioner: Partitioners.DefaultPartitioner });
      await producer.connect();
      const send = (value: string) => producer.send({ topic, messages: [{ value }] });
      await send("before");
      refuseAfter(logs.proxy.loseNextAnswer(apiKeys.produce), logs.proxy);
      await expect(send("gave up")).rejects.toThrow();
      logs.proxy.pass();
      const [acknowledged] = await send("acknowledged");
      expect(acknowledged?.errorCode).toBe(0);
      await producer.disconnect();
      expect(values(await readAll(logs.direct, topic))).not.toContain("acknowledged");
    },
    TIMEOUT_MS,
  );
});

/** Loses in turn the answer, the request, and the answer with no way back. */
const loseSome = (proxy: TcpProxy, round: number): Promise<void> =>
  round % 4 === 0
    ? proxy.loseNextAnswer(apiKeys.produce)
    : round % 4 === 1
      ? proxy.loseNextRequest(apiKeys.produce)
      : proxy.loseNextAnswer(apiKeys.produce).then(() => proxy.refuse());
