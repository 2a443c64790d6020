import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { Kafka, logLevel, type Producer } from "kafkajs";
import { broker_start_ms_max, brokerSuite } from "../../support/brokers/broker.ts";
import { apiKeys, startTcpProxy, type TcpProxy } from "../../support/brokers/tcp-proxy.ts";

// Other tests lean on the proxy when they say "the answer was lost", so here it is shown at work with the bare client.
await brokerSuite("TCP proxy in front of a broker", (broker) => {
  const { proxied } = broker;
  describe.skipIf(proxied === undefined)("with a proxied listener", () => {
    const topic = `tcp-proxy-${crypto.randomUUID()}`;
    let proxy: TcpProxy;
    let producer: Producer;
    const options = { logLevel: logLevel.NOTHING, retry: { retries: 0 }, connectionTimeout: 1_000, requestTimeout: 1_000 };
    const direct = new Kafka({ ...options, brokers: [broker.brokers] }).admin();
    const end = async () => Number((await direct.fetchTopicOffsets(topic))[0]?.high);
    const append = (value: string) => producer.send({ topic, messages: [{ value }] });

    beforeAll(async () => {
      const { listenPort, advertisedPort } = proxied!;
      proxy = await startTcpProxy({ listenPort: advertisedPort, targetPort: listenPort });
      await direct.connect();
      await direct.createTopics({ topics: [{ topic, numPartitions: 1 }], waitForLeaders: true });
    }, broker_start_ms_max);

    afterAll(async () => {
      await direct.disconnect();
      await proxy.close();
    });

    async function connectedProducer(): Promise<Producer> {
      producer = new Kafka({ ...options, brokers: [`127.0.0.1:${proxy.port}`] }).producer();
      await producer.connect();
      return producer;
    }

    afterEach(async () => {
      proxy.pass();
      await producer.disconnect();
    });

    test("an append goes through, and through nothing but the proxy", async () => {
      await connectedProducer();
      const before = await end();
      await append("passed");
      expect(await end()).toBe(before + 1);
      proxy.refuse();
      await expect(append("refused")).rejects.toThrow();
      expect(await end()).toBe(before + 1);
    });

    test("an append whose answer is lost was taken by the broker", async () => {
      await connectedProducer();
      const before = await end();
      const lost = proxy.loseNextAnswer(apiKeys.produce);
      await expect(append("taken")).rejects.toThrow();
      await lost;
      expect(await end()).toBe(before + 1);
      // The trap caught one answer; the next append is answered.
      await connectedProducer();
      await append("answered");
      expect(await end()).toBe(before + 2);
    });

    test("an append whose answer hangs was taken by the broker, and its connection stays open and silent", async () => {
      await connectedProducer();
      const before = await end();
      const hung = proxy.hangNextAnswer(apiKeys.produce);
      await expect(append("taken")).rejects.toThrow("timed out");
      await hung;
      expect(await end()).toBe(before + 1);
      await expect(append("unheard")).rejects.toThrow("timed out");
      await connectedProducer();
      await append("answered");
    });

    test("an append whose request is lost was not taken by the broker", async () => {
      await connectedProducer();
      const before = await end();
      const lost = proxy.loseNextRequest(apiKeys.produce);
      await expect(append("lost")).rejects.toThrow();
      await lost;
      expect(await end()).toBe(before);
    });

    test("while paused nothing goes through, after it the same connection goes on", async () => {
      await connectedProducer();
      await append("connected");
      const before = await end();
      proxy.pause();
      let settled = false;
      const appended = append("late").finally(() => (settled = true));
      await Bun.sleep(200);
      expect(settled).toBe(false);
      expect(await end()).toBe(before);
      proxy.pass();
      await appended;
      expect(await end()).toBe(before + 1);
    });

    test("after a cut the client comes back", async () => {
      await connectedProducer();
      await append("before");
      const before = await end();
      proxy.cut();
      await append("may meet the cut").catch(() => {});
      await append("after");
      expect(await end()).toBeGreaterThan(before);
    });
  });
});
