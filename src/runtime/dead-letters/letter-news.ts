import type { Clock } from "../../system/clock.ts";
import type { DeadLetter } from "../actor/actor-environment.ts";

/** People are told of a partition's new letters at most this often. */
const TELL_AGAIN_MS = 60_000;

interface Untold {
  /** When the first of these letters was appended, on the wall clock. */
  readonly since_ms: number;
  readonly count: number;
  /** How many letters had each reason. */
  readonly reasons: ReadonlyMap<string, number>;
  readonly lastOffset: number;
}

/**
 * Tells people that records went to the dead letters: of the first ones at once, and then each minute how many
 * followed. Otherwise a topic full of poison would only show in the metrics.
 */
export class LetterNews {
  readonly #toldAt_ms = new Map<number, number>();
  readonly #untold = new Map<number, Untold>();

  constructor(
    private readonly deadLetterTopic: string,
    private readonly clock: Clock,
    private readonly onWarning: (partition: number, message: string) => void,
  ) {}

  note(partition: number, letters: readonly DeadLetter[]): void {
    const before = this.#untold.get(partition);
    const reasons = new Map(before?.reasons);
    for (const { code } of letters) reasons.set(code, (reasons.get(code) ?? 0) + 1);
    this.#untold.set(partition, {
      since_ms: before?.since_ms ?? this.clock.wall_ms(),
      count: (before?.count ?? 0) + letters.length,
      reasons,
      lastOffset: letters.at(-1)?.record.offset ?? before?.lastOffset ?? 0,
    });
    this.tellWhatIsDue();
  }

  /** Must be called regularly, because nothing else reports the last letters. */
  tellWhatIsDue(): void {
    for (const partition of this.#untold.keys()) {
      const toldAt_ms = this.#toldAt_ms.get(partition) ?? Number.NEGATIVE_INFINITY;
      if (this.clock.now_ms() - toldAt_ms >= TELL_AGAIN_MS) this.#tell(partition);
    }
  }

  /** Reports all letters that were not reported yet. To be called when no more will come. */
  tellTheRest(): void {
    for (const partition of this.#untold.keys()) this.#tell(partition);
  }

  #tell(partition: number): void {
    const untold = this.#untold.get(partition);
    if (!untold || untold.count === 0) return;
    this.#untold.delete(partition);
    this.#toldAt_ms.set(partition, this.clock.now_ms());
    const { count, since_ms, reasons, lastOffset } = untold;
    const [[reason, often] = ["", 0]] = [...reasons].toSorted(([, a], [, b]) => b - a);
    const went = count === 1 ? "1 record" : `${count} records`;
    const why = often === count ? `the reason is ${reason}` : `the most frequent reason is ${reason} (${often})`;
    const since = new Date(since_ms).toISOString();
    this.onWarning(
      partition,
      `${went} went to the dead letters (${this.deadLetterTopic}) since ${since}: ${why}, the last was at offset ${lastOffset}. GET /dead-letters?reason=${reason} of the order service lists them.`,
    );
  }
}
