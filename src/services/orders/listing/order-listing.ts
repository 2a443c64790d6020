import type { Clock } from "../../../system/clock.ts";
import type { Logger } from "../../../telemetry/logger.ts";

/** Few enough ids to take less than a millisecond, even if each comes from another partition's page. */
const CHUNK_CHARS = 16_384;

/**
 * Hands out turns of the event loop, one after another: a caller gets the next one when those before it have had
 * theirs and everything else that waited has run.
 */
export class Turns {
  #last: Promise<void> = Promise.resolve();

  constructor(private readonly clock: Clock) {}

  next(): Promise<void> {
    return (this.#last = this.#last.then(() => this.clock.yield()));
  }
}

/** Ids in the order in which a listing has them. */
export interface OrderIds {
  /** Undefined if the next one must be loaded first. */
  next(): IteratorResult<string> | undefined;
  load(): Promise<void>;
}

/**
 * The body of a listing. It reads ids only as fast as the client takes them, one chunk per turn, so that requests and
 * other listings get in between. A failure in the middle breaks off the transfer, so that no client takes a part for
 * the whole. `onEnd` is called however the listing ends, and may be called more than once.
 */
export const orderListing = (
  topicName: string,
  ids: OrderIds,
  turns: Turns,
  onEnd: () => void,
  logger: Logger,
): ReadableStream<Uint8Array> => {
  let text = listStart(topicName);
  let separator = "";
  let isLeft = false;
  const fill = async (controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> => {
    while (text.length < CHUNK_CHARS) {
      const next = ids.next();
      if (next === undefined) {
        await ids.load();
        if (isLeft) return;
        continue;
      }
      if (next.done) {
        controller.enqueue(Buffer.from(text + LIST_END));
        controller.close();
        return onEnd();
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
          await fill(controller);
        } catch (e) {
          if (isLeft) return;
          logger.warn({ err: e }, "a listing was broken off");
          controller.error(e);
          onEnd();
        }
      },
      cancel: () => {
        isLeft = true;
        onEnd();
      },
    },
    { highWaterMark: 0 },
  );
};

/** The listing of a topic that was never consumed here. */
export const emptyListing = (topicName: string): string => `${listStart(topicName)}${LIST_END}`;

const listStart = (topicName: string): string => `{"topicName":${JSON.stringify(topicName)},"orderIds":[`;
const LIST_END = "]}";
