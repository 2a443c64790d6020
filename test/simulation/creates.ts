import type { MemoryTopics } from "../../src/log/memory-topics.ts";

/** Which orders the log has a create of. Each record is looked at once. */
export class Creates {
  readonly #partitions = new Map<string, number>();
  readonly #seen: number[] = [];

  constructor(
    private readonly topics: MemoryTopics,
    private readonly topic: string,
  ) {}

  /** The lowest partition with a create of the order. */
  partitionOf(orderId: string): number | undefined {
    for (const [partition, { entries }] of this.topics.topic(this.topic).entries()) {
      for (let at = this.#seen[partition] ?? 0; at < entries.length; at++) {
        const entry = entries[at];
        if (!entry || !String(entry.value).includes('"ORDER_CREATED"')) continue;
        const key = String(entry.key);
        this.#partitions.set(key, Math.min(partition, this.#partitions.get(key) ?? partition));
      }
      this.#seen[partition] = entries.length;
    }
    return this.#partitions.get(orderId);
  }
}
