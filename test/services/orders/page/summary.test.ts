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
    const why = `Partition 3: ${reason}`;
    expect(said(all({ reason }), "ready", why)).toBe(`3 of 4 partitions running. Partition 3 is not up to date. ${why}`);
    expect(said(all({ state: "catching-up", reason }))).toBe("3 of 4 partitions running. Partition 3 is not up to date.");
    const two = all({ reason }, { reason });
    expect(said(two, "ready", "Partition 2: It has none.")).toBe(
      "2 of 4 partitions running. Partitions 2, 3 are not up to date. Partition 2: It has none.",
    );
  });

  test("says which partitions nobody holds", () => {
    expect(said(all().slice(2))).toBe(
      "2 of 4 partitions running. Partitions 0, 1 are held by no order service that is known here.",
    );
    expect(said([{ ...running, partition: 0, reason: "It has no leader." }], "ready", "Partition 0: It has no leader.")).toBe(
      "0 of 4 partitions running. Partition 0 is not up to date. Partition 0: It has no leader. Partitions 1, 2, 3 are held by no order service that is known here.",
    );
  });

  test("says which partition is halted, and why", () => {
    const why = "Partition 3: The log begins late.";
    expect(said(all({ state: "halted" }), "halted", why)).toBe(`Partition 3 is halted. ${why}`);
    const three = all({ state: "halted" }, { state: "halted" });
    expect(said(three, "halted", "Partition 2: So.")).toBe("Partitions 2, 3 are halted. Partition 2: So.");
  });
});
