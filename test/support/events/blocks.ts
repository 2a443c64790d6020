import { BatchOutput, encodeBatch } from "../../../src/log/kafka/records/encode-batch.ts";
import { decodeBatches } from "../../../src/log/kafka/records/record-batch.ts";
import type { Batch, NewRecord } from "../../../src/log/port.ts";
import type { RecordBlock } from "../../../src/log/record-block.ts";
import { storedRecord } from "./records.ts";

/** The records as a block, as they are read from a broker. */
function blocksOf(records: readonly NewRecord[], baseOffset: number): readonly RecordBlock[] {
  const producer = { producerId: 7, producerEpoch: 1, sequence: 0, transactional: false };
  const bytes = Buffer.from(encodeBatch(records, producer, new BatchOutput()));
  bytes.writeBigInt64BE(BigInt(baseOffset), 0);
  return decodeBatches(bytes, 0, []).blocks;
}

/** A batch of partition 0 that ends the log; as objects, or as blocks too. */
export function batchOf(records: readonly NewRecord[], baseOffset: number, hasBlocks = false): Batch {
  const nextOffset = baseOffset + records.length;
  return {
    partition: 0,
    baseOffset,
    nextOffset,
    endOffset: nextOffset,
    stableOffset: nextOffset,
    leaderEpoch: 0,
    records: records.map((record, n) => storedRecord(record, baseOffset + n)),
    blocks: hasBlocks && records.length > 0 ? blocksOf(records, baseOffset) : undefined,
  };
}
