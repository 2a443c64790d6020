/** One line of the table. */
export interface Figure {
  readonly log: string;
  readonly what: string;
  readonly figure: number;
  readonly unit: string;
  readonly ratios?: readonly Ratio[];
  /** What the reader must know about the figure, such as failed requests. */
  readonly note?: string;
}

/** The figure is so many times that of `to`. */
export interface Ratio {
  readonly times: number;
  readonly to: string;
}

/** The percentile by the nearest rank; NaN if there are no values. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? Number.NaN;
}

export const median = (values: readonly number[]): number => percentile(values, 50);

/** The values of the runs, so that the reader sees how far they lie apart. */
export const runsNote = (values: readonly number[]): string => `runs: ${values.map(round).join("; ")}`;

export function table(figures: readonly Figure[]): string {
  const rows = figures.map((f) => [
    f.log,
    f.what,
    round(f.figure),
    f.unit,
    (f.ratios ?? []).map(({ times, to }) => `${times.toFixed(2)} × ${to}`).join(", "),
    f.note ?? "",
  ]);
  const lines = [["log", "what", "figure", "unit", "ratio", "note"], ...rows];
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  return lines
    .map((line) =>
      line
        .map((cell, i) => (i === 2 ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

const round = (figure: number): string =>
  figure >= 100 ? Math.round(figure).toLocaleString("en-US") : String(Number(figure.toPrecision(3)));
