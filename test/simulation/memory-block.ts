import type { Batch, FetchResult, LogRecord, UndecodableBatch } from "../../src/log/port.ts";
import { KEY_FROM, KEY_TO, OFFSET, PLACE_NUMBERS, type RecordBlock, VALUE_FROM, VALUE_TO } from "../../src/log/record-block.ts";

/** Records of the log in memory as places in bytes, as a log reads that has them so. */
class MemoryBlock implements RecordBlock {
  readonly bytes: Buffer;
  readonly places: Int32Array;
  readonly count: number;
  readonly baseOffset: number;

  /** There is at least one record; a batch that cannot be decoded is the only one. */
  constructor(private readonly records: readonly LogRecord[]) {
    this.count = records.length;
    this.baseOffset = records[0]?.offset ?? 0;
    this.places = new Int32Array(records.length * PLACE_NUMBERS).fill(-1);
    const parts: Buffer[] = [];
    let at = 0;
    const put = (bytes: Buffer | null, place: number): void => {
      if (bytes === null) return;
      this.places[place] = at;
      at += bytes.length;
      this.places[place + 1] = at;
      parts.push(bytes);
    };
    for (const [n, { key, value, offset }] of records.entries()) {
      this.places[n * PLACE_NUMBERS + OFFSET] = offset - this.baseOffset;
      put(key, n * PLACE_NUMBERS + KEY_FROM);
      put(value, n * PLACE_NUMBERS + VALUE_FROM);
    }
    this.bytes = Buffer.concat(parts);
  }

  get undecodable(): UndecodableBatch | undefined {
    return this.records[0]?.undecodable;
  }

  record(n: number): LogRecord {
    const { places, bytes, records } = this;
    const record = records[n];
    if (record === undefined) throw new RangeError(`The block has ${this.count} records, and none with number ${n}.`);
    const at = n * PLACE_NUMBERS;
    const part = (from: number): Buffer | null =>
      (places[at + from] as number) < 0 ? null : bytes.subarray(places[at + from], places[at + from + 1]);
    return { ...record, key: part(KEY_FROM), value: part(VALUE_FROM) };
  }
}

if (KEY_TO !== KEY_FROM + 1 || VALUE_TO !== VALUE_FROM + 1) throw new Error("A block's ends no longer follow its starts.");

/** The same answer with blocks, each of at most `records_max` records. */
export function inBlocks(result: FetchResult, records_max: number): FetchResult {
  if (!("batch" in result)) return result;
  const { records } = result.batch;
  const groups: LogRecord[][] = [];
  for (const record of records) {
    const group = groups.at(-1);
    const isApart = record.undecodable !== undefined || group?.[0]?.undecodable !== undefined;
    if (group === undefined || isApart || group.length >= records_max) groups.push([record]);
    else group.push(record);
  }
  const blocks = groups.map((group): RecordBlock => new MemoryBlock(group));
  // Whoever still reads what was released reads nonsense.
  const release = (): void => blocks.forEach(({ bytes }) => bytes.fill(0xff));
  const batch: Batch = { ...result.batch, blocks, release };
  return { ...result, batch };
}
