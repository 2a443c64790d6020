import { type AnswerBuffers, SHARED_BYTES_MIN } from "./answer-buffers.ts";

const LENGTH_BYTES = 4;

/** What kafkajs' connection does with what comes in, and what it has of that; all but the first are there once it is made. */
export interface Receiving {
  /** Called with whatever comes from the broker. */
  processData(data: Buffer): void;
  /** How much of an answer that is not whole is there, in `chunks`. */
  readonly bytesBuffered?: number;
  chunks?: Buffer[];
  /** Present while the connection logs in. */
  readonly authHandlers?: unknown;
  readonly socket?: unknown;
}

/**
 * Has the connection put large answers together in these buffers, and hands kafkajs each when it is whole. kafkajs
 * itself keeps all pieces and then copies them into fresh memory.
 *
 * ```
 *  between answers ──the first piece of a large one──▶ filling a buffer ──the last piece──▶ between answers
 *     └── anything else: kafkajs puts it together            └── another socket: forgotten
 * ```
 */
export function receiveInto(connection: Receiving, buffers: AnswerBuffers, answer_bytes_max: number): void {
  const processData = connection.processData.bind(connection);
  let answer: Buffer | undefined;
  let filled = 0;
  let socket: unknown;

  const beginsLarge = (data: Buffer, at: number): number | undefined => {
    if (connection.bytesBuffered !== 0 || connection.authHandlers || data.length - at < LENGTH_BYTES) return undefined;
    const length = LENGTH_BYTES + data.readInt32BE(at);
    return length >= SHARED_BYTES_MIN && length <= answer_bytes_max && length > data.length - at ? length : undefined;
  };

  connection.processData = (data) => {
    if (socket !== connection.socket) answer = undefined;
    for (let at = 0; at < data.length;) {
      if (answer === undefined) {
        const length = beginsLarge(data, at);
        if (length === undefined) return processData(at === 0 ? data : data.subarray(at));
        answer = buffers.take(length);
        filled = 0;
        socket = connection.socket;
      }
      const copied = data.copy(answer, filled, at, Math.min(data.length, at + answer.length - filled));
      filled += copied;
      at += copied;
      if (filled < answer.length) return;
      const whole = answer;
      answer = undefined;
      // With an empty piece before it, kafkajs would copy it.
      connection.chunks = [];
      processData(whole);
    }
  };
}
