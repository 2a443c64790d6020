import type { Log, LogRecord } from "../../log/port.ts";
import { REPLAY_HEADERS } from "../../log/record-headers.ts";
import type { DeadLetter } from "../actor/actor-environment.ts";
import { PlaceReader } from "../read/place-reader.ts";

/**
 * Leaves out the letters of copies that a replay wrote into the topic they come from. Such a copy is the same poison as
 * its original, which lies before it and already has a letter.
 *
 * ```
 *  letters to look at ──leaveOut()──▶ all looked at      the log fails: leaveOut() goes on with the same letter
 * ```
 */
export class ReplayedLetters {
  readonly #kept: DeadLetter[] = [];
  #lookedAt = 0;

  constructor(
    private readonly log: Log,
    private readonly topic: string,
    private readonly partition: number,
    private readonly letters: readonly DeadLetter[],
  ) {}

  /** How many letters were looked at. */
  get progress(): number {
    return this.#lookedAt;
  }

  /** Resolves with the letters that are left. */
  async leaveOut(): Promise<readonly DeadLetter[]> {
    const { letters, log, topic, partition } = this;
    if (this.#lookedAt === letters.length) return this.#kept;
    const source = new PlaceReader(log, topic, partition);
    try {
      for (let letter = letters[this.#lookedAt]; letter; letter = letters[++this.#lookedAt]) {
        const origin = this.#originOf(letter.record);
        const before = origin === undefined ? undefined : await source.at(origin);
        if (!before || before.undecodable || !isSame(before, letter.record)) this.#kept.push(letter);
      }
      return this.#kept;
    } finally {
      await source.close();
    }
  }

  /** The offset of the record that a replay copied, as its headers say, if that lies earlier in the same partition. */
  #originOf(record: LogRecord): number | undefined {
    const headers = new Map(record.headers());
    const text = (name: string) => Buffer.from(headers.get(name) ?? []).toString();
    if (!headers.has(REPLAY_HEADERS.id) || text(REPLAY_HEADERS.topic) !== this.topic) return undefined;
    const offset = text(REPLAY_HEADERS.offset);
    if (text(REPLAY_HEADERS.partition) !== String(this.partition) || !/^[0-9]{1,15}$/.test(offset)) return undefined;
    return Number(offset) < record.offset ? Number(offset) : undefined;
  }
}

type Bytes = Buffer | null;
const isEqual = (a: Bytes, b: Bytes): boolean => (a === null || b === null ? a === b : a.equals(b));

const isSame = (a: { key: Bytes; value: Bytes }, b: { key: Bytes; value: Bytes }): boolean =>
  isEqual(a.key, b.key) && isEqual(a.value, b.value);
