import { expect, test } from "bun:test";
import type { Exchange } from "../../../../src/log/kafka/connection/cluster.ts";
import { WireReader } from "../../../../src/log/kafka/protocol/wire.ts";
import { KafkaReader } from "../../../../src/log/kafka/read/reader.ts";
import { systemClock } from "../../../../src/system/clock.ts";
import { fakeLeaders } from "../fake-leaders.ts";

const ALL = { wait_ms_max: 50, partition_bytes_max: 1_000 };
const ONLY_0 = { ...ALL, wait_ms_max: 1, only: new Set([0]) };
const POSITIONS = new Map([0, 1, 2].map((partition) => [partition, 0]));

/** The partitions that a Fetch request (version 11) asks for. */
async function partitionsOf({ request }: Exchange<unknown>): Promise<number[]> {
  const wire = new WireReader(Buffer.concat((await request.encode()).chunks));
  // Replica, longest wait, bytes, isolation, session.
  wire.at += 4 + 4 + 4 + 4 + 1 + 4 + 4;
  const asked = wire.array(() => {
    wire.string();
    return wire.array(() => {
      const partition = wire.int32();
      wire.at += 4 + 8 + 8 + 4;
      return partition;
    });
  });
  return asked.flat().toSorted((a, b) => a - b);
}

test("a broker that was asked for some of its partitions is asked for all next, also if its answer comes late", async () => {
  const asked: [number, number[]][] = [];
  const answers = new Map<number, () => void>();
  const connections = fakeLeaders([1, 1, 2], async (nodeId, exchange) => {
    asked.push([nodeId, await partitionsOf(exchange)]);
    const { promise, resolve } = Promise.withResolvers<void>();
    answers.set(nodeId, resolve);
    await promise;
    return { throttle_ms: 0, errorCode: 0, partitions: [], payload: Buffer.alloc(0) };
  });
  const reader = new KafkaReader(() => connections, "t", systemClock, Math.random, "committed");
  await reader.fetch(POSITIONS, ONLY_0);
  expect(asked).toEqual([[1, [0]]]);
  // Broker 2 is asked at once; broker 1 still has the request before.
  await reader.fetch(POSITIONS, ALL);
  expect(asked.slice(1)).toEqual([[2, [2]]]);
  for (const answer of answers.values()) answer();
  await Bun.sleep(5);
  // Somebody waits for partition 0 again, and partition 1 has not been read meanwhile.
  await reader.fetch(POSITIONS, ONLY_0);
  expect(asked.slice(2)).toEqual([[1, [0, 1]]]);
  answers.get(1)?.();
  await Bun.sleep(5);
  await reader.fetch(POSITIONS, ONLY_0);
  expect(asked.slice(3)).toEqual([[1, [0]]]);
  for (const answer of answers.values()) answer();
  await reader.close();
});
