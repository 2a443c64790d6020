import type { MemoryTopics } from "../log/memory/memory-topics.ts";

/** The orders of which the log has a create. Each record is looked at once. */
export class Creates {
  readonly #partitions = new Map<string, number>();
  readonly #seenAt_ms = new Map<string, number>();
  #seen: number[] = [];

  constructor(
    private readonly topics: MemoryTopics,
    private readonly topic: string,
    private readonly now_ms: () => number,
  ) {}

  /** Forgets everything, because the log may have lost some of it. */
  forget(): void {
    this.#partitions.clear();
    this.#seenAt_ms.clear();
    this.#seen = [];
  }

  /** The orders whose create every reader can see, as no transaction is open in its partition. */
  readable(): string[] {
    this.#look();
    const partitions = this.topics.topic(this.topic);
    return [...this.#partitions].flatMap(([orderId, partition]) => (partitions[partition]?.openAt.size === 0 ? [orderId] : []));
  }

  /** The lowest partition that has a create of the order. */
  partitionOf(orderId: string): number | undefined {
    this.#look();
    return this.#partitions.get(orderId);
  }

  #look(): void {
    for (const [partition, { entries }] of this.topics.topic(this.topic).entries()) {
      for (let at = this.#seen[partition] ?? 0; at < entries.length; at++) {
        const entry = entries[at];
        if (!entry || !String(entry.value).includes('"ORDER_CREATED"')) continue;
        const key = String(entry.key);
        if (!this.#seenAt_ms.has(key)) this.#seenAt_ms.set(key, this.now_ms());
        this.#partitions.set(key, Math.min(partition, this.#partitions.get(key) ?? partition));
      }
      this.#seen[partition] = entries.length;
    }
  }

  /** For how long, at least, the log has had a create of the order. */
  age_ms(orderId: string): number {
    return this.partitionOf(orderId) === undefined ? 0 : this.now_ms() - (this.#seenAt_ms.get(orderId) ?? this.now_ms());
  }
}
