import type { Clock } from "../../../system/clock.ts";
import type { Logger } from "../../../telemetry/logger.ts";

/** As many ids as take less than a millisecond, also where each comes from another partition's page. */
const CHUNK_CHARS = 16_384;

/**
 * Hands out turns of the event loop, one after the other: whoever asks for the next one gets it when those before have had theirs and
 * everything else that waited was looked after.
 */
export class Turns {
  #last: Promise<void> = Promise.resolve();

  constructor(private readonly clock: Clock) {}

  next(): Promise<void> {
    return (this.#last = this.#last.then(() => this.clock.yield()));
  }
}

/**
 * The answer of a listing. Reads ids only as fast as the client takes them, a chunk in each turn, so that requests and other listings come
 * in between. A failure in the middle breaks the transfer off, so that no client takes a part for the whole. `done` is called however it
 * ends, and may be called again.
 */
export const orderListing = (
  topicName: string,
  ids: Iterator<string>,
  turns: Turns,
  done: () => void,
  logger: Logger,
): ReadableStream<Uint8Array> => {
  let text = listStart(topicName);
  let separator = "";
  let isLeft = false;
  const fill = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
    while (text.length < CHUNK_CHARS) {
      const next = ids.next();
      if (next.done) {
        controller.enqueue(Buffer.from(text + LIST_END));
        controller.close();
        return done();
      }
      text += `${separator}"${next.value}"`;
      separator = ",";
    }
    controller.enqueue(Buffer.from(text));
    text = "";
  };
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        await turns.next();
        if (isLeft) return;
        try {
          fill(controller);
        } catch (e) {
          logger.warn({ err: e }, "a listing was broken off");
          controller.error(e);
          done();
        }
      },
      cancel: () => {
        isLeft = true;
        done();
      },
    },
    { highWaterMark: 0 },
  );
};

/** Of a topic that was never consumed here. */
export const emptyListing = (topicName: string): string => `${listStart(topicName)}${LIST_END}`;

const listStart = (topicName: string): string => `{"topicName":${JSON.stringify(topicName)},"orderIds":[`;
const LIST_END = "]}";
