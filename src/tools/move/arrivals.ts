import type { LogPosition } from "../../log/log-position.ts";
import type { KnownTopic } from "../../log/read/comparing-reader.ts";
import type { OperationEnvironment } from "../environment.ts";
import { replayedFrom } from "../replay/replayed-record.ts";
import { type OffsetRange, scan } from "../scan/scan.ts";
import { sameTopic } from "../scan/topics.ts";

/**
 * How far a replay is, as the target itself tells: its records with the replay's id. Nothing else is written down, so whatever was
 * interrupted, it goes on right behind what is there.
 */
export class Arrivals {
  /** Records that arrived, repeated ones once. */
  count = 0;
  readonly #positions: number[];
  /** The source's partition → the last of its offsets that arrived. */
  readonly #through = new Map<number, number>();

  constructor(
    private readonly env: OperationEnvironment,
    private readonly target: KnownTopic,
    private readonly id: string,
    /** Ends of the target's partitions before the replay began. */
    starts: readonly number[],
  ) {
    this.#positions = [...starts];
  }

  /** Reads on to the target's end. Resolves with the count; rejects with LOG_DISAGREES where the target does not have what it had. */
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

  /** What of the ranges has not arrived. */
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
