import type { Finding } from "./audit.ts";

/** Formats the findings as a table, and below it the differences and notes. */
export function table(findings: readonly Finding[]): string {
  const heads = ["partition", "held by", "offset", "orders", "dead letters", "digest", "result"];
  const rows = findings.map(({ partition, service, offset, orders, deadLetters, digest, differences, notes, wasFixed }) => [
    String(partition),
    service?.url ?? "-",
    offset === undefined ? "-" : String(offset),
    String(orders),
    String(deadLetters),
    digest ?? "-",
    `${differences.length > 0 ? "DIFFERS" : wasFixed ? "rebuilt, agrees" : "agrees"}${notes.length > 0 ? ", see below" : ""}`,
  ]);
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
  const wrong = findings.filter(({ differences }) => differences.length > 0).length;
  const orders = findings.reduce((sum, finding) => sum + finding.orders, 0);
  const result = wrong === 0 ? "all agree" : `${wrong} of them differ or could not be compared`;
  return `${lines.join("\n")}\n\n${findings.length} partitions, ${orders} orders: ${result}.`;
}
