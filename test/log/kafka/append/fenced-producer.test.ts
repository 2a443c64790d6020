import { expect, test } from "bun:test";
import { KafkaFencedProducer } from "../../../../src/log/kafka/append/fenced-producer.ts";
import { systemClock } from "../../../../src/system/clock.ts";
import { newRecord } from "../../contract/harness.ts";
import { fakeLeaders } from "../fake-leaders.ts";

const NOT_LEADER_OR_FOLLOWER = 6;
const REQUEST_TIMED_OUT = 7;

/** A producer whose leader gives these error codes, one after another, and the last of them for ever. */
async function producerThatGets(errorCodes: readonly number[]) {
  let requests = 0;
  const connections = fakeLeaders([1], async () => {
    const errorCode = errorCodes[Math.min(requests++, errorCodes.length - 1)];
    return { throttle_ms: 0, partitions: [{ partition: 0, errorCode, baseOffset: errorCode === 0 ? 5 : -1 }] };
  });
  let slept_ms = 0;
  const clock = {
    ...systemClock,
    now_ms: () => slept_ms,
    sleep: async (ms: number) => {
      slept_ms += ms;
    },
  };
  const producer = await KafkaFencedProducer.open(connections, "id", clock);
  return { producer, requests: () => requests };
}

test("a leader that does not know yet that it leads is sent the batch again", async () => {
  const { producer, requests } = await producerThatGets([NOT_LEADER_OR_FOLLOWER, NOT_LEADER_OR_FOLLOWER, 0]);
  expect(await producer.append("t", [newRecord("a")])).toEqual([5]);
  expect(requests()).toBe(3);
});

test("sending again ends before the coordinator would end the transaction, and before the append's deadline", async () => {
  const unavailable = { code: "LOG_UNAVAILABLE" };
  const endless = await producerThatGets([NOT_LEADER_OR_FOLLOWER]);
  await expect(endless.producer.append("t", [newRecord("a")])).rejects.toMatchObject(unavailable);
  expect(endless.requests()).toBe(50);
  const short = await producerThatGets([NOT_LEADER_OR_FOLLOWER]);
  await expect(short.producer.append("t", [newRecord("a")], 1_000)).rejects.toMatchObject(unavailable);
  expect(short.requests()).toBe(10);
});

test("replicas that did not confirm in time are not asked again within a transaction", async () => {
  const { producer, requests } = await producerThatGets([REQUEST_TIMED_OUT]);
  await expect(producer.append("t", [newRecord("a")])).rejects.toMatchObject({ code: "LOG_UNAVAILABLE" });
  expect(requests()).toBe(1);
});
