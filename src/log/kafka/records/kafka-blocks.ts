import { decodeName } from "../../header-names.ts";
import type { Header, LogRecord, Timestamp, UndecodableBatch } from "../../port.ts";
import { KEY_FROM, KEY_TO, OFFSET, PLACE_NUMBERS, type RecordBlock, VALUE_FROM, VALUE_TO } from "../../record-block.ts";
import { timestampOf } from "../../timestamp.ts";
import { appendTimestampOf, type BatchHead, baseTimestampOf, leaderEpochOf } from "./batch-head.ts";
import { EXACT_VARINT_BYTES_MAX, RecordCursor } from "./record-cursor.ts";
import { HEAD_AT, TIMESTAMP_AT } from "./record-places.ts";

/** Records of one batch or of several, whose places RecordPlaces has found. */
export class KafkaBlock implements RecordBlock {
  readonly undecodable = undefined;
  readonly count: number;

  /** `heads` is where the heads of the records' batches lie; it is not `bytes` if these were packed. */
  constructor(
    readonly bytes: Buffer,
    private readonly heads: Buffer,
    readonly baseOffset: number,
    readonly places: Int32Array,
  ) {
    this.count = places.length / PLACE_NUMBERS;
  }

  record(n: number): LogRecord {
    const { bytes, heads, places } = this;
    if (n < 0 || n >= this.count) throw new RangeError(`The block has ${this.count} records, and none with number ${n}.`);
    const at = n * PLACE_NUMBERS;
    const keyFrom = places[at + KEY_FROM] as number;
    const valueFrom = places[at + VALUE_FROM] as number;
    const headersAt = places[at + VALUE_TO] as number;
    const timestampAt = places[at + TIMESTAMP_AT] as number;
    const headAt = places[at + HEAD_AT] as number;
    return new KafkaRecord(
      this.baseOffset + (places[at + OFFSET] as number),
      appendTimestampOf(heads, headAt) ?? timestampAfter(baseTimestampOf(heads, headAt), bytes, timestampAt),
      keyFrom < 0 ? null : bytes.subarray(keyFrom, places[at + KEY_TO]),
      valueFrom < 0 ? null : bytes.subarray(valueFrom, headersAt),
      leaderEpochOf(heads, headAt),
      bytes,
      headersAt,
    );
  }
}

/** A batch that cannot be decoded, as the one record that says so. */
export class BrokenBlock implements RecordBlock {
  readonly count = 1;
  readonly places: Int32Array;

  constructor(
    readonly bytes: Buffer,
    readonly baseOffset: number,
    private readonly head: BatchHead,
    readonly undecodable: UndecodableBatch,
  ) {
    this.places = new Int32Array(PLACE_NUMBERS).fill(-1);
    this.places[OFFSET] = 0;
  }

  record(): LogRecord {
    const { bytes, at, isReadable } = this.head;
    const timestamp_ms = isReadable ? baseTimestampOf(bytes, at) : 0;
    const leaderEpoch = isReadable ? leaderEpochOf(bytes, at) : 0;
    const { baseOffset: offset, undecodable } = this;
    return { offset, timestamp_ms, key: null, value: null, leaderEpoch, undecodable, headers: () => [] };
  }
}

class KafkaRecord implements LogRecord {
  constructor(
    readonly offset: number,
    readonly timestamp_ms: Timestamp,
    readonly key: Buffer | null,
    readonly value: Buffer | null,
    readonly leaderEpoch: number,
    private readonly block: Buffer,
    private readonly headersAt: number,
  ) {}

  headers(): readonly Header[] {
    const cursor = new RecordCursor(this.block, this.headersAt, this.block.length);
    const count = cursor.varint();
    const headers: Header[] = [];
    for (let i = 0; i < count; i++) {
      const name = cursor.bytes();
      headers.push([name === null ? "" : decodeName(name), cursor.bytes()]);
    }
    return headers;
  }
}

const EXACT_BASE_MAX = 2 ** 52;

/** The sum of a batch's timestamp and the difference that stands at `at`; it wraps at 64 bits, as in Java. */
function timestampAfter(base: Timestamp, bytes: Buffer, at: number): Timestamp {
  const cursor = new RecordCursor(bytes, at, bytes.length);
  const difference_ms = cursor.varint();
  const isExact = cursor.at - at <= EXACT_VARINT_BYTES_MAX;
  if (isExact && typeof base === "number" && Math.abs(base) < EXACT_BASE_MAX) return base + difference_ms;
  return timestampOf(BigInt.asIntN(64, BigInt(base) + cursor.bigVarint(at)));
}
