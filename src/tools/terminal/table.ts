/** Lays the rows out in right-aligned columns under their names, each as wide as its widest cell. */
export function table(names: readonly string[], rows: readonly (readonly (string | number)[])[]): string[] {
  const text = [names, ...rows.map((row) => row.map((cell) => (typeof cell === "number" ? counted(cell) : cell)))];
  const widths = names.map((_, column) => Math.max(...text.map((row) => row[column]?.length ?? 0)));
  return text.map((row) => row.map((cell, column) => cell.padStart(widths[column] ?? 0)).join("  "));
}

export const counted = (n: number): string => n.toLocaleString("en-US");

/** `3 records`, `1 record`. */
export const records = (n: number): string => `${counted(n)} ${n === 1 ? "record" : "records"}`;

export const letters = (n: number): string => `${counted(n)} ${n === 1 ? "letter" : "letters"}`;
