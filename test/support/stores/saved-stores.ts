import { Database } from "bun:sqlite";
import { join } from "node:path";
import type { Log } from "../../../src/log/port.ts";
import { waitUntil } from "../wait-until.ts";

/** Resolves once the order service's stores in the data directory have saved all that the topic holds. */
export async function savedStores(dataDir: string, log: Log, topic: string): Promise<void> {
  const ends = (await log.watermarks(topic)).map(({ endOffset }) => endOffset);
  await waitUntil(
    `the stores of ${topic} to be saved`,
    async () => {
      const saved = await savedOffsets(dataDir, topic);
      return ends.every((endOffset, partition) => (saved.get(partition) ?? -1) >= endOffset);
    },
    { wait_ms_max: 10_000 },
  );
}

/** How far each partition's store has come. They can be read whether or not the service runs. */
async function savedOffsets(dataDir: string, topic: string): Promise<Map<number, number>> {
  const saved = new Map<number, number>();
  for await (const path of new Bun.Glob(`state/*/order-service-0/${topic}.*.sqlite`).scan(dataDir)) {
    using db = new Database(join(dataDir, path), { readonly: true });
    for (const [partition, nextOffset] of db.query("SELECT partition, next_offset FROM position").values() as [number, number][])
      saved.set(partition, nextOffset);
  }
  return saved;
}
