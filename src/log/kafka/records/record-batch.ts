import { BATCH_HEAD_BYTES } from "../../append/record-size.ts";
import type { RecordBlock } from "../../record-block.ts";
import {
  batchEnd,
  type BatchHead,
  batchHead,
  codecOf,
  countOf,
  isTransactional,
  magicOf,
  OLD_MESSAGE_BYTES_MIN,
  producerIdOf,
} from "./batch-head.ts";
import { decompress } from "./compression.ts";
import { BrokenBlock, KafkaBlock } from "./kafka-blocks.ts";
import { RecordCursor } from "./record-cursor.ts";
import { RecordPlaces } from "./record-places.ts";

const CONTROL_TYPE_ABORT = 0;
/** How far a record's offset may lie from its block's, so that the difference is an int32. */
const OFFSETS_MAX = 2 ** 31;

export interface AbortedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
}

export interface DecodedBatches {
  readonly blocks: readonly RecordBlock[];
  /** The offset to read on from; `fromOffset` if there was not one whole batch. */
  readonly nextOffset: number;
}

/**
 * How much an answer may still unpack to, over all its partitions. A batch is begun while any of it is left, so each
 * answer brings at least one.
 */
export interface UnpackBudget {
  left_bytes: number;
}

/**
 * Decodes the whole batches in `bytes`; a batch that is cut off at the end is left for the next fetch. Records before
 * `fromOffset`, control records and the records of transactions in `aborted` (in ascending `firstOffset`) are left
 * out. A batch that cannot be decoded gives one record, which says so for all its offsets.
 *
 * All records are checked in one pass, which copies nothing and makes no object of a record: kafkajs' own decoder reads
 * varints through a Long class and turns every header into an object;
 * docs/decisions/0001-below-the-kafkajs-consumer.md has the figures.
 *
 * Throws a plain Error if it cannot even be told which offsets a batch has.
 */
export function decodeBatches(
  bytes: Buffer,
  fromOffset: number,
  aborted: readonly AbortedTransaction[],
  budget: UnpackBudget = { left_bytes: Number.POSITIVE_INFINITY },
): DecodedBatches {
  const decoded = new BlockList(bytes, budget);
  const abortedProducers = new Set<number>();
  let abortedSeen = 0;
  let nextOffset = fromOffset;
  let at = 0;
  while (at + OLD_MESSAGE_BYTES_MIN <= bytes.length && budget.left_bytes > 0) {
    const end = batchEnd(bytes, at);
    if (end > bytes.length) break;
    const head = batchHead(bytes, at, end);
    const { lastOffset } = head;
    // Offsets that were read before are not taken again.
    const firstOffset = Math.max(head.baseOffset, nextOffset);
    at = end;
    if (lastOffset < firstOffset) continue;

    for (let next = aborted[abortedSeen]; next && next.firstOffset <= lastOffset; next = aborted[++abortedSeen]) {
      abortedProducers.add(next.producerId);
    }
    try {
      if (head.isControl) {
        if (controlType(head) === CONTROL_TYPE_ABORT) abortedProducers.delete(producerIdOf(bytes, head.at));
      } else if (abortedProducers.size === 0 || !isAborted(head, abortedProducers)) {
        decoded.add(head, firstOffset);
      }
    } catch (e) {
      const reason = `The record batch at offset ${head.baseOffset} cannot be decoded: ${e instanceof Error ? e.message : String(e)}.`;
      decoded.addBroken(new BrokenBlock(bytes, firstOffset, head, { lastOffset, reason }));
    }
    nextOffset = lastOffset + 1;
  }
  return { blocks: decoded.take(), nextOffset };
}

const places = new RecordPlaces();

/** Makes blocks of the batches of an answer: a packed batch is a block, and unpacked ones that follow each other are one. */
class BlockList {
  readonly #blocks: RecordBlock[] = [];
  /** The offset that the open block's offsets are counted from; undefined if none is open. */
  #openOffset: number | undefined;

  constructor(
    private readonly bytes: Buffer,
    private readonly budget: UnpackBudget,
  ) {
    // A list before this may have been given up half-way.
    places.clear();
  }

  /** Throws a plain Error that says why the batch cannot be decoded, and has then added nothing. */
  add(head: BatchHead, firstOffset: number): void {
    const { bytes } = this;
    const { at, end, baseOffset, lastOffset, isReadable } = head;
    if (!isReadable) throw new Error(`it has format ${magicOf(bytes, at)}, and only format 2 (Kafka 0.11 and later) is read`);
    const records = { headAt: at, count: countOf(bytes, at), baseOffset, lastOffset, firstOffset };
    const codec = codecOf(bytes, at);
    if (codec === 0) {
      if (this.#openOffset !== undefined && lastOffset - this.#openOffset >= OFFSETS_MAX) this.#close();
      this.#openOffset ??= baseOffset;
      places.add(bytes, at + BATCH_HEAD_BYTES, end, records, this.#openOffset);
    } else {
      this.#close();
      const unpacked = decompress(codec, bytes.subarray(at + BATCH_HEAD_BYTES, end));
      this.budget.left_bytes -= unpacked.length;
      places.add(unpacked, 0, unpacked.length, records, baseOffset);
      if (places.count > 0) this.#blocks.push(new KafkaBlock(unpacked, bytes, baseOffset, places.take()));
    }
  }

  addBroken(block: RecordBlock): void {
    this.#close();
    this.#blocks.push(block);
  }

  take(): readonly RecordBlock[] {
    this.#close();
    return this.#blocks;
  }

  #close(): void {
    if (this.#openOffset !== undefined && places.count > 0)
      this.#blocks.push(new KafkaBlock(this.bytes, this.bytes, this.#openOffset, places.take()));
    this.#openOffset = undefined;
  }
}

const isAborted = ({ bytes, at, isReadable }: BatchHead, producers: ReadonlySet<number>): boolean =>
  isReadable && isTransactional(bytes, at) && producers.has(producerIdOf(bytes, at));

/** The type in the only record of a control batch: 0 is abort, 1 is commit. */
function controlType({ bytes, at, end }: BatchHead): number {
  const cursor = new RecordCursor(bytes, at + BATCH_HEAD_BYTES, end);
  cursor.varint();
  cursor.at += 1;
  cursor.varint();
  cursor.varint();
  return cursor.bytes()?.readInt16BE(2) ?? -1;
}
