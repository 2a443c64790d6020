import { type BrokerCalls, check, partitionsOf } from "./broker-calls.ts";
import type { FieldWriter } from "./fields.ts";
import { type BatchOptions, recordBatch, type WireRecord } from "./record-batch.ts";

const transaction_ms_max = 10 * 60_000;

export interface TransactionOf {
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly WireRecord[];
}

export interface OpenTransaction {
  commit(): Promise<void>;
  abort(): Promise<void>;
}

type ProduceBatch = (topic: string, partition: number, batch: Buffer, transactionalId: string) => Promise<number>;

/** Appends the records in a transaction that stays open (KIP-98). */
export async function openTransaction(
  calls: BrokerCalls,
  produceBatch: ProduceBatch,
  transactionalId: string,
  { topic, partition, records }: TransactionOf,
): Promise<OpenTransaction> {
  const coordinator = await calls.coordinator(transactionalId);
  const started = await calls.retried(async () => {
    const write = (fields: FieldWriter) => fields.string(transactionalId).int32(transaction_ms_max);
    const answer = await calls.ask({ apiKey: 22, apiVersion: 0, write }, coordinator);
    answer.int32();
    check(answer.int16(), `beginning ${transactionalId}`);
    return { id: answer.int64(), epoch: answer.int16() };
  });
  const producer = (fields: FieldWriter) => fields.string(transactionalId).int64(started.id).int16(started.epoch);
  await calls.retried(async () => {
    const write = (fields: FieldWriter) =>
      producer(fields).array([topic], (name) => fields.string(name).array([partition], (number) => fields.int32(number)));
    const answer = await calls.ask({ apiKey: 24, apiVersion: 0, write }, coordinator);
    answer.int32();
    partitionsOf(answer, () => check(answer.int16(), `adding ${topic} to ${transactionalId}`));
  });
  const options: BatchOptions = { producer: { ...started, sequence: 0 }, transactional: true };
  await produceBatch(topic, partition, recordBatch(records, options), transactionalId);
  const end = (isCommitted: boolean) =>
    calls.retried(async () => {
      const write = (fields: FieldWriter) => producer(fields).boolean(isCommitted);
      const answer = await calls.ask({ apiKey: 26, apiVersion: 0, write }, coordinator);
      answer.int32();
      check(answer.int16(), `ending ${transactionalId}`);
    });
  return { commit: () => end(true), abort: () => end(false) };
}
