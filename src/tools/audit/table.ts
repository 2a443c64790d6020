import type { Finding } from "./audit.ts";

/** Formats the findings as a table, and below it the differences and notes. */
export function table(findings: readonly Finding[]): string {
  const heads = ["partition", "held by", "offset", "orders", "dead letters", "digest", "result"];
  const rows = findings.map((finding) => {
    const { partition, holder, offset, orders, deadLetters, digest = "-", differences, notes } = finding;
    return [
      String(partition),
      holder ?? "-",
      offset === undefined ? "-" : String(offset),
      ...(isCompared(finding) ? [String(orders), String(deadLetters)] : ["-", "-"]),
      digest,
      `${resultOf(finding)}${differences.length + notes.length > 0 ? ", see below" : ""}`,
    ];
  });
  const widths = heads.map((head, column) => Math.max(head.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const lines = [heads, ...rows].map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  for (const { partition, differences, notes, wasFixed } of findings) {
    for (const difference of wasFixed ?? []) lines.push(`partition ${partition}, before it was rebuilt: ${difference}`);
    for (const each of [...differences, ...notes]) lines.push(`partition ${partition}: ${each}`);
  }
  const orders = findings.reduce((sum, finding) => sum + finding.orders, 0);
  return `${lines.join("\n")}\n\n${findings.length} partitions, ${orders} orders: ${summaryOf(findings)}.`;
}

/** What could not be folded to the service's offset, such as of a partition that is being rebuilt, has no digest. */
const isCompared = ({ digest }: Finding): boolean => digest !== undefined;

function resultOf(finding: Finding): string {
  if (finding.differences.length > 0) return isCompared(finding) ? "DIFFERS" : "not compared";
  return finding.wasFixed ? "rebuilt, agrees" : "agrees";
}

function summaryOf(findings: readonly Finding[]): string {
  const differing = findings.filter((finding) => resultOf(finding) === "DIFFERS").length;
  const left = findings.filter((finding) => !isCompared(finding)).length;
  const parts = [
    ...(differing > 0 ? [`${differing} ${differing === 1 ? "differs" : "differ"}`] : []),
    ...(left > 0 ? [`${left} could not be compared`] : []),
  ];
  return parts.length === 0 ? "all agree" : parts.join(", ");
}
