import type { PartitionComparison } from "./comparison.ts";
import type { Console } from "../terminal/progress.ts";
import { counted, table } from "../terminal/table.ts";

const DIFFERENCES_SHOWN_MAX = 10;

export interface ReportOptions {
  /** What the plan counted; the source may have lost records since then. */
  readonly planned: readonly { readonly partition: number; readonly offsets: string; readonly matching: number }[];
  readonly source: string;
  readonly target: string;
}

/** Prints a table by partition and the first differences. Returns whether there are none. */
export function reportComparison(
  console: Console,
  compared: readonly PartitionComparison[],
  { planned, source, target }: ReportOptions,
): boolean {
  const plans = new Map(planned.map((plan) => [plan.partition, plan]));
  const rows = compared.map(({ partition, arrived, repeated, differences }) => {
    const { offsets = "none", matching = 0 } = plans.get(partition) ?? {};
    return [String(partition), offsets, matching, arrived, repeated, differences];
  });
  for (const line of table(["partition", "offsets", "matching", "arrived", "repeated", "differences"], rows)) console.say(line);
  const changed = compared.filter(({ partition, expected }) => expected !== (plans.get(partition)?.matching ?? 0));
  for (const { partition, expected } of changed) {
    const was = counted(plans.get(partition)?.matching ?? 0);
    console.say(`Partition ${partition} of ${source} now has ${counted(expected)} matching, and ${was} at the start.`);
  }
  const differences = compared.reduce((sum, each) => sum + each.differences, 0);
  const kept = compared.flatMap((each) => each.kept.map((difference) => ({ partition: each.partition, ...difference })));
  for (const { partition, kind, offset, arrivedAt, detail } of kept.slice(0, DIFFERENCES_SHOWN_MAX)) {
    const from = offset === undefined ? "" : ` ${source} ${partition}:${offset}`;
    const at = arrivedAt === undefined ? "" : ` at ${target} ${partition}:${arrivedAt}`;
    console.say(`${kind}:${from}${at}: ${detail}`);
  }
  if (differences > DIFFERENCES_SHOWN_MAX) console.say(`… and ${counted(differences - DIFFERENCES_SHOWN_MAX)} more differences.`);
  const isWhole = differences === 0 && changed.length === 0;
  if (!isWhole) console.say(`${target} does not hold what it should: ${counted(differences)} differences.`);
  return isWhole;
}

/** The range as text: `0–99` includes both offsets. */
export const offsetsOf = ({ from, to }: { readonly from: number; readonly to: number }): string =>
  from < to ? `${from}–${to - 1}` : "none";
