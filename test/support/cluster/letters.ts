import { type ForeignRecord, inspectorLog, readAll } from "../brokers/foreign.ts";
import type { Cluster } from "./cluster.ts";
import type { OrdersTopic } from "./orders-topic.ts";

export const headerOf = ({ headers }: ForeignRecord, name: string): string | undefined =>
  headers.findLast(([given]) => given === name)?.[1];

/** The letters of a topic, by the `partition:offset` that their records came from. */
export async function lettersByOrigin(cluster: Cluster, { deadLetterTopic }: OrdersTopic): Promise<Map<string, ForeignRecord[]>> {
  const log = inspectorLog(cluster.brokers);
  try {
    const letters = await readAll(log, deadLetterTopic);
    const origin = (what: string, letter: ForeignRecord) => headerOf(letter, `x-dead-letter-${what}`);
    return Map.groupBy(letters, (letter) => `${origin("partition", letter)}:${origin("offset", letter)}`);
  } finally {
    await log.close();
  }
}

/** How many letters there are; 0 while they cannot be read. */
export const letterCount = async (cluster: Cluster, orders: OrdersTopic): Promise<number> => {
  const letters = await lettersByOrigin(cluster, orders).catch(() => new Map<string, ForeignRecord[]>());
  return [...letters.values()].flat().length;
};
