import type { Log } from "../../../src/log/port.ts";
import type { BoundedRange } from "../../../src/tools/move/connect/bounded-pipeline.ts";
import { waitUntil } from "../wait-until.ts";

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

/** The range from offset 0 to the last of these records in each partition that has any; the records must ascend. */
export function rangesOf(records: readonly { readonly partition: number; readonly offset: number }[]): BoundedRange[] {
  const lasts = new Map(records.map(({ partition, offset }) => [partition, offset]));
  return [...lasts].map(([partition, last]) => ({ partition, from: 0, last }));
}
