/** Returns to the line's start and erases the line (ECMA-48: EL). */
const ERASE = "\r\x1b[K";

/**
 * The last line of a terminal, rewritten in place below the log's lines. The logger must write through `line`, so that
 * neither overwrites the other.
 */
export class StatusLine {
  #text = "";

  constructor(
    private readonly write: (text: string) => void,
    /** The terminal's present width. A longer text is cut, since one that wraps could not be erased. */
    private readonly columns: () => number,
  ) {}

  /** Writes a whole line of the log, its newline included. */
  readonly line = (line: string): void => {
    this.write(this.#text === "" ? line : `${ERASE}${line}${this.#text}`);
  };

  /** Shows the text; an empty text removes the status line. */
  show(text: string): void {
    const cut = text.slice(0, Math.max(0, this.columns() - 1));
    if (cut === this.#text) return;
    this.write(`${ERASE}${cut}`);
    this.#text = cut;
  }
}

const BAR_CHARS = 24;

/** A progress bar such as `orders ████████░░░░ 430,000 of 1,000,000, 250,000/s, 3 s left`. */
export function progressBar(what: string, done: number, total: number, done_per_s: number, left_s: number): string {
  const filled = total === 0 ? 0 : Math.min(BAR_CHARS, Math.floor((done / total) * BAR_CHARS));
  const bar = "█".repeat(filled) + "░".repeat(BAR_CHARS - filled);
  const count = (n: number) => n.toLocaleString("en-US");
  const rate = done_per_s === 0 ? "" : `, ${count(done_per_s)}/s, ${left_s} s left`;
  return `${what} ${bar} ${count(done)} of ${count(total)}${rate}`;
}

/** The figures of a service that applies events. `orders` is undefined while it is not known. */
export interface OrderFigures {
  readonly orders: number | undefined;
  readonly applied_per_s: number;
  readonly lag: number;
}

/** The figures as a line such as `12,345 orders · 250/s · lag 0`. */
export function figuresLine({ orders, applied_per_s, lag }: OrderFigures): string {
  const count = (n: number) => Math.round(n).toLocaleString("en-US");
  return `${orders === undefined ? "–" : count(orders)} ${orders === 1 ? "order" : "orders"} · ${count(applied_per_s)}/s · lag ${count(lag)}`;
}
