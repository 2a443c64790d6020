import { describe, expect, test } from "bun:test";
import type { PartitionFigures } from "../../../../src/services/orders/live/live-figures.ts";
import { sentence } from "../../../../src/services/orders/page/summary.ts";

const members = [{ status: "ready", partitions: [], standbys: [] }];
const running = { state: "running", offset: 0, end: 0, lag: 0, applied_per_s: 0, deadLetters: 0 } as const;
const all = (...changed: Partial<PartitionFigures>[]): PartitionFigures[] => [
  ...Array.from({ length: 4 - changed.length }, (_, partition) => ({ ...running, partition })),
  ...changed.map((change, index) => ({ ...running, partition: 4 - changed.length + index, ...change })),
];
const said = (partitions: readonly PartitionFigures[], status = "ready", reason?: string) =>
  sentence({ status, members, partitions, partitionCount: 4, ...(reason === undefined ? {} : { reason }) });

describe("the page's headline", () => {
  test("says “Up to date” where all partitions run", () => {
    expect(said(all())).toBe("Up to date: all 4 partitions running here.");
    expect(said([])).toBe("Ready; no partition is held here.");
  });

  test("says which partition the log does not give, although the order service is ready", () => {
    const reason = "The partition has no leader.";
    const sentence_3 = "3 of 4 partitions running. Partition 3 is not up to date. The partition has no leader.";
    expect(said(all({ reason }))).toBe(sentence_3);
    expect(said(all({ state: "catching-up", reason }))).toBe(sentence_3);
  });

  test("says which partitions nobody holds", () => {
    expect(said(all().slice(2))).toBe(
      "2 of 4 partitions running. Partitions 0, 1 are held by no order service that is known here.",
    );
    expect(said([{ ...running, partition: 0, state: "halted", reason: "It is halted." }])).toBe(
      "0 of 4 partitions running. Partition 0 is not up to date. It is halted. Partitions 1, 2, 3 are held by no order service that is known here.",
    );
  });

  test("says which partition is halted, and why", () => {
    expect(said(all({ state: "halted" }), "halted", "The log begins late.")).toBe("Partition 3 halted. The log begins late.");
  });
});
