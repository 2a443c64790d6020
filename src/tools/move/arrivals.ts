import type { LogPosition } from "../../log/log-position.ts";
import type { KnownTopic } from "../../log/read/comparing-reader.ts";
import type { OperationEnvironment } from "../environment.ts";
import { replayedFrom } from "../replay/replayed-record.ts";
import { type OffsetRange, scan } from "../scan/scan.ts";
import { sameTopic } from "../scan/topics.ts";

/**
 * Finds how far a replay is from the target's records with the replay's id. Nothing else is written down, so wherever
 * a run was interrupted, the next one goes on right after what has arrived.
 */
export class Arrivals {
  /** How many records arrived; a repeated one counts once. */
  count = 0;
  readonly #positions: number[];
  /** The last offset that arrived, by the source's partition. */
  readonly #through = new Map<number, number>();

  constructor(
    private readonly env: OperationEnvironment,
    private readonly target: KnownTopic,
    private readonly id: string,
    /** The ends of the target's partitions before the replay began. */
    starts: readonly number[],
  ) {
    this.#positions = [...starts];
  }

  /**
   * Reads on to the target's end. Resolves with the count; rejects with LOG_DISAGREES where the target lost records.
   */
  async look(): Promise<number> {
    const { marks } = await sameTopic(
      this.env,
      this.target,
      this.#positions.map((to, partition) => ({ partition, from: 0, to })),
    );
    const ranges = marks.map(({ endOffset }, partition) => ({ partition, from: this.#positions[partition] ?? 0, to: endOffset }));
    for await (const batches of scan(this.env, this.target, ranges)) {
      for (const { partition, records, nextOffset } of batches) {
        for (const record of records) this.#note(replayedFrom(record, this.id)?.origin);
        this.#positions[partition] = nextOffset;
      }
    }
    return this.count;
  }

  /** The parts of the ranges that have not arrived. */
  left(ranges: readonly OffsetRange[]): OffsetRange[] {
    return ranges
      .map((range) => ({ ...range, from: Math.max(range.from, (this.#through.get(range.partition) ?? -1) + 1) }))
      .filter(({ from, to }) => from < to);
  }

  #note(origin: LogPosition | undefined): void {
    if (!origin || origin.offset <= (this.#through.get(origin.partition) ?? -1)) return;
    this.#through.set(origin.partition, origin.offset);
    this.count++;
  }
}
