import { AppError, isAppError } from "../../../../errors.ts";
import type { Log, Reader } from "../../../../log/port.ts";
import type { Clock } from "../../../../system/clock.ts";
import { LogScan } from "../log-scan.ts";
import { type Room, type ToldEnd, UnreadKeys } from "./unread-keys.ts";

export interface UnreadPartitionOptions {
  readonly log: Log;
  readonly topic: string;
  readonly room: Room;
  readonly clock: Clock;
}

/** What a read has found. */
interface Found {
  readonly keys: UnreadKeys;
  /** The end that the log told for it. */
  readonly endOffset: number;
}

/**
 * Reads one partition's unread records for all who ask at the same time, and keeps what it has read for those who ask
 * later. A read is good for every question that came before the log was asked for its end.
 *
 * ```
 *  idle ──lacks()──▶ collecting ──no read is under way──▶ asking for the end, reading up to it ──▶ answered
 *                    (further questions join it)          (lacks() collects for the next read)
 *
 *  no keys ──a read──▶ keys ──a read that its bounds may end early──▶ more keys
 *     ▲                  │
 *     └──────────────────┘ the log is not the one that was read, all of it is applied, a read fails, forget()
 * ```
 */
export class UnreadPartition {
  #keys: UnreadKeys | undefined;
  /** Kept as long as the keys are, since it has its own connections. */
  #reader: Reader | undefined;
  #underWay: Promise<unknown> = Promise.resolve();
  #next: { readonly asked: { from: number }; readonly found: Promise<Found> } | undefined;
  #isReading = false;
  #asked_ms = 0;

  constructor(
    private readonly partition: number,
    private readonly options: UnreadPartitionOptions,
  ) {}

  /** Whether no record with the key lies from `nextOffset` on. False also if that is not known now. */
  async lacks(key: number, nextOffset: number): Promise<boolean> {
    this.#asked_ms = this.options.clock.now_ms();
    this.#next ??= this.#collect();
    const { asked, found } = this.#next;
    asked.from = Math.min(asked.from, nextOffset);
    try {
      const { keys, endOffset } = await found;
      return keys.lacks(key, nextOffset, endOffset);
    } catch (e) {
      if (isAppError(e)) return false;
      throw e;
    }
  }

  /** Drops what was read if nobody has asked for it since then. */
  forgetUnaskedSince(since_ms: number): void {
    if (!this.#isReading && this.#asked_ms < since_ms) this.#forget();
  }

  #collect() {
    const asked = { from: Number.POSITIVE_INFINITY };
    const found = this.#underWay.then(() => {
      this.#next = undefined;
      return this.#read(asked.from);
    });
    this.#underWay = found.catch(() => undefined);
    return { asked, found };
  }

  async #read(from: number): Promise<Found> {
    this.#isReading = true;
    try {
      const end = await this.#end();
      if (this.#keys?.isPartOf(end, from) === false) this.#forget();
      const keys = (this.#keys ??= new UnreadKeys(end, from, this.options.room));
      keys.forgetApplied(from);
      if (!keys.isUpTo(end)) await this.#readOn(keys, end.endOffset);
      return { keys, endOffset: end.endOffset };
    } finally {
      this.#isReading = false;
    }
  }

  async #end(): Promise<ToldEnd> {
    const { log, topic } = this.options;
    const { topicId, partitions } = await log.endOffsets(topic, new Set([this.partition]), "uncommitted");
    const end = (await partitions[this.partition]) ?? { unavailable: "It does not exist." };
    if ("unavailable" in end)
      throw new AppError("LOG_UNAVAILABLE", `${topic}-${this.partition} cannot be read now: ${end.unavailable}`);
    return { topicId, ...end };
  }

  async #readOn(keys: UnreadKeys, endOffset: number): Promise<void> {
    const { log, topic, clock } = this.options;
    this.#reader ??= log.reader(topic, "uncommitted");
    const scan = new LogScan(log, topic, this.#reader, clock);
    try {
      keys.end(await scan.read(this.partition, keys.begin(), endOffset, (record) => keys.note(record)));
    } catch (e) {
      this.#forget();
      throw e;
    }
  }

  #forget(): void {
    this.options.room.left += this.#keys?.size ?? 0;
    this.#keys = undefined;
    void this.#reader?.close().catch(() => undefined);
    this.#reader = undefined;
  }
}
