import { reach } from "../../src/runtime/snapshots/manifest.ts";
import type { SnapshotStep } from "./plan-snapshots.ts";
import { TOPIC } from "./topic-names.ts";
import type { World } from "./world.ts";

/** Does to snapshots, and to the log's head, what the steps say. */
export class Retention {
  constructor(private readonly world: World) {}

  take(step: SnapshotStep): void {
    const { storage } = this.world;
    switch (step.do) {
      case "delete-head":
        return this.#deleteHead(step.share);
      case "damage-snapshot":
        return this.#damage(step);
      case "storage-away":
        storage.isAway = true;
        return this.world.later(step.for_ms, () => (storage.isAway = false));
      case "bad-storage":
        storage.faultChance = step.chance;
        return this.world.later(step.for_ms, () => (storage.faultChance = 0));
    }
  }

  end(): void {
    this.world.storage.isAway = false;
    this.world.storage.faultChance = 0;
  }

  /** Retention passes, as far as snapshots of the orders and of the index go. */
  #deleteHead(share: number): void {
    const { broker, losses } = this.world;
    const partitions = broker.topics.topic(TOPIC);
    const partition = Math.floor(share * partitions.length);
    const found = partitions[partition];
    if (found === undefined || !losses.isEmpty) return;
    const reached = Math.min(this.#reached(partition, false), this.#reached(partition, true));
    found.hiddenBefore = Math.max(found.hiddenBefore, Math.min(reached, found.entries.length));
    broker.topics.notify();
    this.world.trace(`partition ${partition} begins at offset ${found.hiddenBefore}`);
  }

  /** Up to where the furthest good snapshot of the partition's orders goes, or that of the index. */
  #reached(partition: number, isIndex: boolean): number {
    const offsets = this.world.storage
      .good()
      .filter(({ manifest }) => (isIndex ? manifest.partition === undefined : manifest.partition === partition))
      .map(({ manifest }) => manifest.positions.find((position) => position.partition === partition)?.nextOffset ?? 0);
    return Math.max(0, ...offsets);
  }

  /** A good one of each store stays, unless the log has everything. */
  #damage({ share, how }: Extract<SnapshotStep, { do: "damage-snapshot" }>): void {
    const { storage, random, broker } = this.world;
    const good = storage.good();
    const one = good[Math.floor(share * good.length)];
    if (one === undefined) return;
    const isNeeded = broker.topics.topic(TOPIC).some(({ hiddenBefore }) => hiddenBefore > 0);
    const further = good.some(
      ({ manifest }) => manifest.partition === one.manifest.partition && reach(manifest) > reach(one.manifest),
    );
    if (!isNeeded || further) storage.damage(one.name, random(), how);
  }
}
