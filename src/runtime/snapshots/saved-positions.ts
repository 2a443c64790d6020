import type { PinnedDatabase } from "../store/copy/pinned-database.ts";
import { damagedStore } from "../store/store-failures.ts";
import type { SnapshotPosition } from "./manifest.ts";

/** The positions that the rows are as of, ascending by partition. Throws an error of damage if there are none. */
export function savedPositions(database: PinnedDatabase): readonly SnapshotPosition[] {
  for (const { table, columns, rows } of database.tables()) {
    if (table !== "position") continue;
    const found: SnapshotPosition[] = [];
    for (const row of rows) found.push(positionOf(Object.fromEntries(columns.map((column, n) => [column, row[n] ?? undefined]))));
    if (found.length > 0) return found.toSorted((a, b) => a.partition - b.partition);
  }
  throw damagedStore("The store has no position");
}

const positionOf = (row: Readonly<Record<string, unknown>>): SnapshotPosition => {
  const number = (column: string): number | undefined => row[column] as number | undefined;
  const [offset, checksum] = [number("last_offset"), number("last_checksum")];
  const hasLast = offset !== undefined && checksum !== undefined;
  return {
    partition: number("partition") ?? 0,
    nextOffset: number("next_offset") ?? 0,
    firstOffset: number("first_offset") ?? 0,
    topicId: row["topic_id"] as string | undefined,
    last: hasLast ? { offset, checksum, leaderEpoch: number("last_epoch") } : undefined,
  };
};
