import type { Timestamp } from "../../src/log/port.ts";
import { partitionFor } from "../../src/log/partitioner.ts";
import type { ForeignStep } from "./plan.ts";
import { TOPIC } from "./topic-names.ts";
import type { World } from "./world.ts";

/** An update by a program that shares no code with src. */
export const foreignUpdate = (event_id: string, order_id: string, status: string): string =>
  JSON.stringify({ event_id, event_type: "ORDER_STATUS_UPDATED", timestamp: "2026-01-01T00:00:00", order_id, status });

const HELD_MAX = 100;

/** What other programs do to the topic: they append updates and poison, replay records, and add partitions. */
export class ForeignPrograms {
  #events = 0;

  constructor(private readonly world: World) {}

  take(step: ForeignStep): void {
    const { topics } = this.world.broker;
    switch (step.do) {
      case "foreign-update":
        for (let n = 0; n < step.count; n++) this.#update(step.order, step.status, step.timestamp ?? 0);
        // More than are held for an order become dead letters.
        if (step.count > HELD_MAX) this.world.troubles.poisoned.add(this.#partitionOf(`ORD-${step.order}`));
        return;
      case "poison":
        return this.#append(`ORD-${step.order}`, `POISON ${++this.#events}`.padEnd(step.bytes ?? 0, "!"));
      case "replay":
        return this.#replay(step.share, step.count);
      case "add-partitions":
        if (topics.find(TOPIC)) topics.growTo(TOPIC, topics.topic(TOPIC).length + step.count);
        return;
    }
  }

  #partitionOf(orderId: string): number {
    return (
      this.world.creates.partitionOf(orderId) ?? partitionFor("murmur2", orderId, this.world.broker.topics.topic(TOPIC).length)
    );
  }

  #update(order: number, status: string, timestamp_ms: Timestamp): void {
    const id = `f0000000-0000-4000-9000-${(++this.#events).toString(16).padStart(12, "0")}`;
    const orderId = `ORD-${order}`;
    this.#append(orderId, foreignUpdate(id, orderId, status), timestamp_ms);
  }

  #append(key: string, value: string, timestamp_ms: Timestamp = 0): void {
    if (this.world.broker.topics.topic(TOPIC).length === 0) return;
    const partition = this.#partitionOf(key);
    if (value.startsWith("POISON")) this.world.troubles.poisoned.add(partition);
    this.world.append(TOPIC, [{ partition, key, value, headers: [], timestamp_ms }]);
  }

  #replay(share: number, count: number): void {
    const partitions = this.world.broker.topics.topic(TOPIC);
    const partition = Math.floor(share * partitions.length);
    const entries = partitions[partition]?.entries ?? [];
    const from = Math.floor(((share * 97) % 1) * entries.length);
    const again = entries.slice(from, from + count).flatMap((entry) => (entry ? [entry] : []));
    for (const record of again)
      if (!record.undecodable) this.world.append(TOPIC, [{ ...record, partition, headers: record.headers() }]);
  }
}
