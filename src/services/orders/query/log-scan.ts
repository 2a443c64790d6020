import type { Clock } from "../../../system/clock.ts";
import { AppError, isAppError } from "../../../errors.ts";
import { Permits } from "../../../http/permits.ts";
import type { Batch, Log, LogRecord, PartitionEnds, Reader, Watermarks } from "../../../log/port.ts";
import { ComparingReader } from "../../../log/read/comparing-reader.ts";

/** How many records one request may read; the next request continues from its cursor. */
const SCAN_RECORDS_MAX = 500_000;
const SCAN_MS_MAX = 1_000;
/**
 * How many scans run at the same time, since they share the thread with the actors; SCANS_WAITING_MAX is how many may
 * wait for their turn.
 */
export const SCANS_MAX = 2;
export const SCANS_WAITING_MAX = 8;
/** One answer is decoded in a single turn of the event loop, so it is kept small. */
const FETCH = { wait_ms_max: 100, partition_bytes_max: 1024 * 1024 };
/** After this many empty answers in a row, the log is taken to have nothing there now. */
const EMPTY_ANSWERS_MAX = 5;

export interface Scans {
  /**
   * Runs a search when its turn comes. Rejects with OVERLOADED if too many already wait, of this client or of all, or
   * with LOG_UNAVAILABLE.
   */
  run<T>(topic: string, body: (scan: LogScan) => Promise<T>): Promise<T>;
  /** The ends of all partitions, each found by itself. Rejects with LOG_UNAVAILABLE if none is known. */
  ends(topic: string): Promise<readonly PartitionEnds[]>;
  /** The ends of one partition. Rejects with LOG_UNAVAILABLE if they are not known now. */
  endsOf(topic: string, partition: number): Promise<Watermarks>;
}

/**
 * Searches the log for requests, a few at a time, in the order in which they asked. Readers are kept and used again,
 * since each has its own connections.
 *
 * ```
 *  idle reader (or a new one) ──run──▶ scanning ──▶ idle again, also after a failure: a reader mends its connections
 * ```
 */
export class LogScans implements Scans {
  readonly #permits = new Permits(SCANS_MAX + SCANS_WAITING_MAX, "searches of the log");
  #running = 0;
  readonly #waiting: (() => void)[] = [];
  readonly #idle = new Map<string, Reader[]>();

  constructor(
    private readonly log: Log,
    private readonly clock: Clock,
  ) {}

  /** The searches of one client, which cannot take all turns. */
  of(client: string): Scans {
    return {
      run: (topic, body) => this.#run(client, topic, body),
      ends: (topic) => this.ends(topic),
      endsOf: (topic, partition) => this.endsOf(topic, partition),
    };
  }

  run<T>(topic: string, body: (scan: LogScan) => Promise<T>): Promise<T> {
    return this.#run("", topic, body);
  }

  #run<T>(client: string, topic: string, body: (scan: LogScan) => Promise<T>): Promise<T> {
    return this.#permits.run(client, () => this.#inTurn(topic, body));
  }

  async #inTurn<T>(topic: string, body: (scan: LogScan) => Promise<T>): Promise<T> {
    await this.#enter();
    const idle = this.#idle.get(topic) ?? [];
    this.#idle.set(topic, idle);
    const reader = idle.pop() ?? this.log.reader(topic);
    try {
      return await body(new LogScan(this.log, topic, reader, this.clock));
    } finally {
      idle.push(reader);
      this.#leave();
    }
  }

  async #enter(): Promise<void> {
    if (this.#running < SCANS_MAX) {
      this.#running++;
      return;
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Passes this turn to the next in line, or gives it back. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#running--;
  }

  async ends(topic: string): Promise<readonly PartitionEnds[]> {
    return (await this.log.ends(topic)).partitions;
  }

  async endsOf(topic: string, partition: number): Promise<Watermarks> {
    const ends = (await this.ends(topic))[partition] ?? { unavailable: "It does not exist." };
    if ("unavailable" in ends)
      throw new AppError("LOG_UNAVAILABLE", `${topic}-${partition} cannot be read now: ${ends.unavailable}`);
    return ends;
  }
}

/** What one request may read. */
export class LogScan {
  #records = 0;
  readonly #began_ms: number;

  constructor(
    private readonly log: Log,
    private readonly topic: string,
    private readonly reader: Reader,
    private readonly clock: Clock,
  ) {
    this.#began_ms = clock.now_ms();
  }

  get isOver(): boolean {
    return this.#records >= SCAN_RECORDS_MAX || this.clock.now_ms() - this.#began_ms >= SCAN_MS_MAX;
  }

  /**
   * Passes each record of [from, to) to `visit`, until that returns false or, unless `isWhole`, the scan is over.
   * Resolves with the offset from which to continue: `to`, or less if it stopped earlier or the log has nothing there
   * now. It goes on over connections that are lost. Rejects with LOG_UNAVAILABLE if the log cannot be read there now,
   * or if it may have changed after some of its records were passed on.
   */
  async read(
    partition: number,
    from: number,
    to: number,
    visit: (record: LogRecord) => boolean,
    isWhole = false,
  ): Promise<number> {
    const reader = new ComparingReader(this.log, { name: this.topic, topicId: undefined }, this.reader);
    let at = from;
    const goesOn = () => isWhole || !this.isOver || reader.isInDoubt(partition);
    for (let empty = 0; at < to && empty < EMPTY_ANSWERS_MAX && goesOn();) {
      const batch = await this.#fetch(reader, partition, at);
      if (!batch || batch.nextOffset === at) {
        empty++;
        continue;
      }
      empty = 0;
      this.#records += batch.records.length;
      for (const record of batch.records)
        if (record.offset >= to) break;
        else if (!visit(record)) return record.offset + 1;
      at = Math.min(batch.nextOffset, to);
      await this.clock.yield();
    }
    if (at > from && reader.isInDoubt(partition))
      throw new AppError("LOG_UNAVAILABLE", `${this.topic}-${partition} may have changed while it was read; ask again.`);
    return at;
  }

  /** Undefined if nothing came, which may be because what was read is compared first. */
  async #fetch(reader: ComparingReader, partition: number, at: number): Promise<Batch | undefined> {
    const fetch = () => reader.fetch(new Map([[partition, at]]), FETCH);
    const again = (e: unknown) => {
      if (isAppError(e, "LOG_DISAGREES")) throw new AppError("LOG_UNAVAILABLE", e.message, {}, e);
      return fetch();
    };
    // The other end may have closed a connection that was idle.
    const [result] = await fetch().catch(again);
    if (!result) return undefined;
    if ("batch" in result) return result.batch;
    const why =
      "unreadable" in result
        ? result.unreadable
        : "unavailable" in result
          ? result.unavailable
          : `it has ${result.outOfRange.startOffset} to ${result.outOfRange.endOffset}`;
    throw new AppError("LOG_UNAVAILABLE", `${this.topic}-${partition} cannot be read at offset ${at}: ${why}`);
  }
}
