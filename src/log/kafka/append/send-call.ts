import type { AppError } from "../../../errors.ts";
import type { NewRecord, SendOutcome } from "../../port.ts";
import { invalidTimestamp, isTimestamp } from "../../timestamp.ts";
import type { BatchOutput } from "../records/encode-batch.ts";

/** Records of one partition that are appended as one batch or not at all. */
export interface Part {
  readonly partition: number;
  /** Where the records stand in what the caller gave. */
  readonly indexes: readonly number[];
  bytes: Buffer | undefined;
  /** Whether it was sent without it being known if the log has it. */
  isUnsure: boolean;
  /** How often it was numbered anew under another producer id. */
  newIds: number;
  /** Why it is not appended yet. */
  cause: string;
}

/** One call of `send`: the parts that wait for each partition, in order, and what became of the records. */
export class SendCall {
  readonly outcomes: SendOutcome[] = [];
  /** Counts the parts that were dealt with, which shows whether a round got anywhere. */
  steps = 0;
  /**
   * False once a send was given up: its request may still be written later, and would then read the bytes of its
   * batch.
   */
  isOutputFree = true;
  readonly #waiting = new Map<number, Part[]>();

  constructor(
    readonly records: readonly NewRecord[],
    parts: readonly Part[],
    readonly deadline_ms: number,
    readonly output: BatchOutput,
  ) {
    for (const part of parts) this.#waiting.set(part.partition, [part]);
    for (const [index, { timestamp_ms }] of records.entries())
      if (!isTimestamp(timestamp_ms)) this.outcomes[index] = { error: invalidTimestamp(timestamp_ms) };
  }

  get isDone(): boolean {
    return this.#waiting.size === 0;
  }

  heads(): Part[] {
    return [...this.#waiting.values()].map(([part]) => part as Part);
  }

  confirm(part: Part, baseOffset: number, leaderEpoch: number): void {
    for (const [i, index] of part.indexes.entries()) this.outcomes[index] = { offset: baseOffset + i, leaderEpoch };
    this.#finish(part);
  }

  refuse(part: Part, error: AppError): void {
    for (const index of part.indexes) this.outcomes[index] = { error };
    this.#finish(part);
  }

  split(part: Part): void {
    const half = Math.ceil(part.indexes.length / 2);
    const halves = [part.indexes.slice(0, half), part.indexes.slice(half)];
    const parts = halves.map((indexes) => newPart(part.partition, indexes, part.cause));
    this.#waiting.get(part.partition)?.splice(0, 1, ...parts);
    this.steps++;
  }

  #finish(part: Part): void {
    this.steps++;
    const waiting = this.#waiting.get(part.partition);
    waiting?.shift();
    if (waiting?.length === 0) this.#waiting.delete(part.partition);
  }
}

const newPart = (partition: number, indexes: readonly number[], cause = "the broker did not answer"): Part => ({
  partition,
  indexes,
  bytes: undefined,
  isUnsure: false,
  newIds: 0,
  cause,
});

/** Makes one part for each partition, without the records that no log takes. */
export function partsOf(records: readonly NewRecord[]): Part[] {
  const byPartition = new Map<number, number[]>();
  for (const [index, { partition, timestamp_ms }] of records.entries()) {
    if (!isTimestamp(timestamp_ms)) continue;
    const indexes = byPartition.get(partition);
    if (indexes) indexes.push(index);
    else byPartition.set(partition, [index]);
  }
  return [...byPartition].map(([partition, indexes]) => newPart(partition, indexes));
}
