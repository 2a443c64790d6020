import type { Violation } from "../reference/violation.ts";
import type { Ledger } from "./ledger.ts";
import { FAULT_KINDS, type FaultKind, type Options } from "./options.ts";
import type { TopicRecord } from "./records.ts";

const LOST = ["acknowledged-is-kept", "rows-kept", "all-are-listed", "all-is-accounted-for", "dead-letters-kept"];
const DOUBLED = ["one-winner", "first-create-wins", "one-owner", "listed-once", "dead-letters-once"];
const HISTORIES_MAX = 3;
const VALUE_CHARS_MAX = 400;

export type Done = Readonly<Record<FaultKind, number>>;

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;

/** The table of figures of a run. */
export function table({ faults }: Options, done: Done, ledger: Ledger): string {
  const { figures } = ledger;
  const rows: (readonly [string, string])[] = [
    ...FAULT_KINDS.map((kind) => [kind.replaceAll("-", " "), `${done[kind]} of ${faults[kind]}`] as const),
    ["acknowledged", String(figures.acknowledged)],
    ["refused (404, 409)", String(figures.refused)],
    ["read back at their position", String(figures.readBack)],
    ["read without a position", String(figures.plainReads)],
    ["stores restored from a snapshot", String(figures.restoredFromSnapshots)],
    ["damaged snapshots passed over", String(figures.snapshotsPassedOver)],
    ["duplicates produced", String(figures.duplicates)],
    ["unknown outcomes", String(figures.unknownOutcomes)],
    ["lost", String(ledger.count(...LOST))],
    ["doubled", String(ledger.count(...DOUBLED))],
    ["longest time without an answer", seconds(figures.longestSilence_ms)],
    ["longest request, with its retries", seconds(figures.longestRequest_ms)],
    ["longest restore until ready", seconds(figures.longestRestore_ms)],
    ["partitions that changed their leader, measured", String(figures.failoversMeasured)],
    ["longest without a leader", seconds(figures.longestLeaderless_ms)],
    ["longest unread and unwritten after it had one", seconds(figures.longestUnreadable_ms)],
    ["longest start until ready", seconds(figures.longestRestart_ms)],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value.padStart(10)}`).join("\n");
}

/** The violations, and the whole history of the first orders concerned: their records, and what clients were told. */
export async function failures(ledger: Ledger, records: readonly (readonly TopicRecord[])[]): Promise<string> {
  const lines: string[] = [];
  for (const { count, kept } of ledger.violations.values()) {
    lines.push(...kept.map(({ message }) => `FAILED ${message}`));
    if (count > kept.length) lines.push(`  … and ${count - kept.length} more of these`);
  }
  const kept = [...ledger.violations.values()].flatMap(({ kept: [first] }): Violation[] => (first ? [first] : []));
  const orderIds = new Set(kept.flatMap(({ orderId }) => orderId ?? []));
  for (const orderId of [...orderIds].slice(0, HISTORIES_MAX)) {
    lines.push("", `The history of ${orderId}:`);
    for (const record of records.flat()) {
      const { partition, offset, operation, send } = record;
      if (record.key !== orderId) continue;
      const from = send === undefined ? operation : `send ${send}`;
      lines.push(`  ${partition}:${offset} ${record.isPoison ? "poison " : ""}${from} ${record.value.slice(0, VALUE_CHARS_MAX)}`);
    }
    lines.push(...(await ledger.answersOf(orderId)));
  }
  return lines.join("\n");
}
