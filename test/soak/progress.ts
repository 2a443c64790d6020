const TERMINAL_MS = 500;
const PLAIN_MS = 15_000;

/**
 * Shows how far a run has got: again and again on one line of a terminal, and elsewhere now and then on a new line.
 */
export class Progress implements Disposable {
  readonly #timer;

  constructor(line: () => string) {
    const { stderr } = process;
    const show = () => stderr.write(stderr.isTTY ? `\r\x1b[K${line().slice(0, stderr.columns - 1)}` : `${line()}\n`);
    this.#timer = setInterval(show, stderr.isTTY ? TERMINAL_MS : PLAIN_MS);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  }
}

export function clockTime(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1_000));
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
}
