import type { PartitionView } from "../../../runtime/held-partitions.ts";
import type { LogScan, LogScans } from "./log-scan.ts";

/**
 * Looks in the log for an order among what partitions have not applied: where one is blocked or suspended, an order that another program
 * put there would else be 404, or every unknown order of the other partitions 503. What a transaction hides is looked at, too, be it committed
 * later or not: behind it may be what was acknowledged.
 */
export class UnreadRecords {
  constructor(
    private readonly scans: LogScans,
    private readonly topic: string,
  ) {}

  /** Those of the partitions of which all unread records were read, and none is of the order. What cannot be read is left out. */
  async without(orderId: string, partitions: readonly PartitionView[], client: string): Promise<Set<number>> {
    const without = new Set<number>();
    for (const { partition, nextOffset } of partitions)
      if (await this.#isWithout(orderId, partition, nextOffset, client).catch(() => false)) without.add(partition);
    return without;
  }

  async #isWithout(orderId: string, partition: number, from: number, client: string): Promise<boolean> {
    const { endOffset } = await this.scans.endsOf(this.topic, partition);
    const key = Buffer.from(orderId);
    const search = async (scan: LogScan): Promise<boolean> => {
      let isFound = false;
      const reached = await scan.read(partition, from, endOffset, (record) => {
        isFound = record.key?.equals(key) ?? false;
        return !isFound;
      });
      return !isFound && reached >= endOffset;
    };
    return this.scans.of(client).run(this.topic, search, "uncommitted");
  }
}
