import type { Log } from "../../src/log/log.ts";
import { waitUntil } from "./wait-until.ts";

/** Creates a topic and waits until each partition has a leader, which on a busy broker takes a moment. */
export async function createTopic(log: Log, topic: string, partitions: number): Promise<void> {
  let last: unknown;
  await waitUntil(
    () => `for the topic ${topic}; ${String(last)}`,
    async () => {
      try {
        await log.createTopic(topic, partitions);
        return (await log.watermarks(topic)).length === partitions;
      } catch (e) {
        last = e;
        return false;
      }
    },
    { wait_ms_max: 20_000, interval_ms: 100 },
  );
}
