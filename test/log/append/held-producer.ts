import { systemClock } from "../../../src/system/clock.ts";
import { AppError } from "../../../src/errors.ts";
import { Appender, type AppenderOptions } from "../../../src/log/append/appender.ts";
import type { IdempotentProducer, NewRecord, SendOutcome } from "../../../src/log/port.ts";
import { waitUntil } from "../../support/wait-until.ts";

export const record = (value: string, partition = 0): NewRecord => ({ partition, key: "k", value, headers: [], timestamp_ms: 0 });

export type Fate = (record: NewRecord) => AppError | undefined;
export const failure = (code: ConstructorParameters<typeof AppError>[0], message: string = code) => new AppError(code, message);

export interface HeldSend {
  readonly values: string[];
  readonly partitions: number[];
  readonly deadline_ms: number;
  readonly settle: (fate?: Fate) => void;
}

/** A producer whose sends settle when the test says so; a partition's lane is its entry in `leaders`, or else "1". */
export class HeldProducer implements IdempotentProducer {
  readonly sends: HeldSend[] = [];
  readonly leaders = new Map<number, string>();
  batch_bytes_max = 1_048_588;
  #settled = 0;
  readonly #ends = new Map<number, number>();
  readonly #underWay = new Set<number>();

  lane(_: string, partition: number): string {
    return this.leaders.get(partition) ?? "1";
  }

  batchBytesMax(): number {
    return this.batch_bytes_max;
  }

  append(): Promise<number[]> {
    throw new Error("The appender sends.");
  }

  send(_: string, records: readonly NewRecord[], deadline_ms = Number.POSITIVE_INFINITY): Promise<SendOutcome[]> {
    const partitions = [...new Set(records.map(({ partition }) => partition))];
    for (const partition of partitions) {
      if (this.#underWay.has(partition)) throw new Error(`Two sends are under way for partition ${partition}.`);
      this.#underWay.add(partition);
    }
    return new Promise((resolve) => {
      const settle = (fate: Fate = () => undefined) => {
        for (const partition of partitions) this.#underWay.delete(partition);
        resolve(records.map((sent) => this.#land(sent, fate(sent))));
      };
      this.sends.push({ values: records.map(({ value }) => String(value)), partitions, deadline_ms, settle });
    });
  }

  #land({ partition }: NewRecord, error: AppError | undefined): SendOutcome {
    if (error) return { error };
    const offset = this.#ends.get(partition) ?? 0;
    this.#ends.set(partition, offset + 1);
    return { offset, leaderEpoch: 7 };
  }

  /** The next send that is not settled yet. */
  async next(): Promise<HeldSend> {
    const index = this.#settled++;
    await waitUntil(
      () => `there is no send ${index}`,
      () => this.sends.length > index,
    );
    return this.sends[index]!;
  }

  async close(): Promise<void> {}
}

const bounds = {
  topic: "t",
  clock: systemClock,
  queue_records_max: 100,
  batch_records_max: 3,
  value_bytes_max: 1_000_000,
};
export const appenderOn = (producer: IdempotentProducer, options: Partial<AppenderOptions> = {}): Appender =>
  new Appender({ ...bounds, producer, ...options });

export const soon = (wait_ms: number) => systemClock.now_ms() + wait_ms;
export const messageOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "ok",
    (e: unknown) => (e as Error).message,
  );
export const offsetsOf = async (appended: readonly Promise<{ offset: number }>[]) =>
  (await Promise.all(appended)).map(({ offset }) => offset);
