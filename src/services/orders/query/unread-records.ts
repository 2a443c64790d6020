import type { PartitionView } from "../../../runtime/held-partitions.ts";
import type { LogScan, LogScans } from "./log-scan.ts";

/**
 * Searches the log for an order among the records that partitions have not applied. Without this, while a partition is
 * blocked or suspended, an order that another program put there would be answered 404, or every unknown order of the
 * other partitions 503. The search includes the records of transactions, whether or not they are committed later,
 * because acknowledged records may come after them.
 */
export class UnreadRecords {
  constructor(
    private readonly scans: LogScans,
    private readonly topic: string,
  ) {}

  /**
   * The partitions whose unread records were all read and contain none of the order. A partition that cannot be read
   * is left out.
   */
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
