import type { Clock } from "../../system/clock.ts";
import { progressBar, StatusLine } from "../../telemetry/status-line.ts";

/** The time between two updates of the bar, and between two lines where there is no terminal. */
const BAR_WAIT_MS = 200;
const LINE_WAIT_MS = 10_000;

export interface Output {
  readonly write: (text: string) => void;
  /** The terminal's width; undefined where the output is not a terminal. */
  readonly columns: (() => number) | undefined;
}

/**
 * Prints an operation's lines and its progress: a bar below the lines on a terminal, elsewhere a line now and then.
 */
export class Console {
  readonly #status: StatusLine | undefined;

  constructor(
    private readonly output: Output,
    private readonly clock: Clock,
  ) {
    this.#status = output.columns && new StatusLine(output.write, output.columns);
  }

  say(line: string): void {
    if (this.#status) this.#status.line(`${line}\n`);
    else this.output.write(`${line}\n`);
  }

  /** `already` is how much of the total an earlier run did. */
  progress(what: string, total: number, already = 0): Progress {
    const started_ms = this.clock.now_ms();
    let shown_ms = started_ms;
    return {
      show: (done) => {
        const now_ms = this.clock.now_ms();
        if (now_ms - shown_ms < (this.#status ? BAR_WAIT_MS : LINE_WAIT_MS)) return;
        shown_ms = now_ms;
        const rate = ((done - already) * 1_000) / (now_ms - started_ms);
        const left_s = rate > 0 ? Math.ceil((total - done) / rate) : 0;
        const bar = progressBar(what, done, total, Math.round(rate), left_s);
        if (this.#status) this.#status.show(bar);
        else this.say(bar);
      },
      end: () => this.#status?.show(""),
    };
  }
}

export interface Progress {
  show(done: number): void;
  end(): void;
}
