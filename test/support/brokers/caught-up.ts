import type { Log } from "../../../src/log/port.ts";
import { waitUntil } from "../wait-until.ts";

/** Waits until the service at that address has read what the topic holds now. */
export async function caughtUp(url: string, log: Log, topic: string): Promise<void> {
  const ends = (await log.watermarks(topic)).map(({ endOffset }) => endOffset);
  await waitUntil(
    `for ${url} to be at the end of ${topic}`,
    async () => {
      const { partitions = [] } = (await (await fetch(`${url}/health/ready`)).json()) as {
        partitions?: { partition: number; offset: number }[];
      };
      return ends.every((end, partition) => partitions.some((one) => one.partition === partition && one.offset >= end));
    },
    { wait_ms_max: 30_000 },
  );
}
