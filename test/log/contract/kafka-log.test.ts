import { test, expect } from "bun:test";
import { systemClock } from "../../../src/system/clock.ts";
import { KafkaLog } from "../../../src/log/kafka/kafka-log.ts";
import type { Log } from "../../../src/log/port.ts";
import { brokerSuite } from "../../support/brokers/broker.ts";
import { codeOf } from "../../support/code-of.ts";
import { apiKeys, startTcpProxy } from "../../support/brokers/tcp-proxy.ts";
import { newRecord, readAll, values } from "./harness.ts";
import { logContract } from "./log-contract.ts";

const openKafka = (brokers: string): Log =>
  new KafkaLog({
    brokers: brokers.split(","),
    clientId: "contract",
    session_timeout_ms: 10_000,
    backoff_ms_min: 50,
    backoff_ms_max: 500,
    clock: systemClock,
    random: Math.random,
  });

const uniqueName = (prefix: string) => `${prefix}-${crypto.randomUUID()}`;

await brokerSuite("the log contract on a broker", (broker) => {
  logContract("the broker's log", () => ({
    capabilities: { boundsBatches: true },
    open: async () => openKafka(broker.brokers),
    uniqueName,
    dispose: async () => undefined,
  }));

  // A broker given from outside has no listener for a proxy; the suite's own broker has one.
  test.skipIf(!broker.proxied)(
    "an append whose answer is lost is confirmed by sending again, and stands in the log once",
    async () => {
      if (!broker.proxied) return;
      const proxy = await startTcpProxy({ listenPort: broker.proxied.advertisedPort, targetPort: broker.proxied.listenPort });
      const log = openKafka(`127.0.0.1:${proxy.port}`);
      try {
        const topic = uniqueName("lost-answer");
        await log.createTopic(topic, 2);
        const producer = log.producer();
        await producer.append(topic, [newRecord("a"), newRecord("b", { partition: 1 })]);
        for (const round of [1, 2, 3]) {
          void proxy.loseNextAnswer(apiKeys.produce);
          expect(await producer.append(topic, [newRecord(`c${round}`), newRecord(`d${round}`, { partition: 1 })])).toEqual([
            round,
            round,
          ]);
        }
        expect(values(await readAll(log, topic, 0))).toEqual(["a", "c1", "c2", "c3"]);
        expect(values(await readAll(log, topic, 1))).toEqual(["b", "d1", "d2", "d3"]);
      } finally {
        await log.close();
        await proxy.close();
      }
    },
    60_000,
  );

  test.skipIf(!broker.proxied)(
    "nothing is sent after an append's deadline: neither again, nor for the first time",
    async () => {
      if (!broker.proxied) return;
      const proxy = await startTcpProxy({ listenPort: broker.proxied.advertisedPort, targetPort: broker.proxied.listenPort });
      const log = openKafka(`127.0.0.1:${proxy.port}`);
      const direct = openKafka(broker.brokers);
      try {
        const topic = uniqueName("deadline");
        await log.createTopic(topic, 1);
        const producer = log.producer();
        await producer.append(topic, [newRecord("a")]);
        // The request is lost and the client cannot come back in time, so it must not be sent again after that.
        const lost = proxy.loseNextRequest(apiKeys.produce).then(() => proxy.refuse());
        const givenUp = producer.append(topic, [newRecord("lost")], systemClock.now_ms() + 600);
        expect(await codeOf(givenUp)).toBe("APPEND_OUTCOME_UNKNOWN");
        await lost;
        proxy.pass();
        expect(await codeOf(producer.append(topic, [newRecord("late")], systemClock.now_ms()))).toBe("LOG_UNAVAILABLE");
        expect(await producer.append(topic, [newRecord("b")], systemClock.now_ms() + 10_000)).toEqual([1]);
        expect(values(await readAll(direct, topic, 0))).toEqual(["a", "b"]);
      } finally {
        await log.close();
        await direct.close();
        await proxy.close();
      }
    },
    60_000,
  );
});
