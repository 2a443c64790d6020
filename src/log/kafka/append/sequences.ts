import type { Node } from "../connection/connections.ts";

export interface ProducerId {
  readonly producerId: number;
  readonly producerEpoch: number;
}

/**
 * The numbers by which a partition's leader recognizes a batch that is sent again (KIP-98). Each partition has a
 * producer id of its own, so that giving one up does not affect the others.
 */
export interface Sequence {
  id: ProducerId | undefined;
  next: number;
}

/** Sequence numbers wrap from 2^31 − 1 to 0. */
const SEQUENCES = 2 ** 31;
/** Kafka asks for this even if nothing is transactional. */
const TRANSACTION_TIMEOUT_MS = 10_000;

/** The sequences of one producer, by topic and partition. */
export class Sequences {
  readonly #sequences = new Map<string, Sequence>();

  of(key: string): Sequence {
    let sequence = this.#sequences.get(key);
    if (!sequence) this.#sequences.set(key, (sequence = { id: undefined, next: 0 }));
    return sequence;
  }

  /** Lets the partition begin anew, under another producer id. */
  forget(key: string): void {
    this.#sequences.delete(key);
  }
}

export const advance = (sequence: Sequence, records: number): void => {
  sequence.next = (sequence.next + records) % SEQUENCES;
};

export async function newProducerId(node: Node): Promise<ProducerId> {
  const broker = await node.broker();
  const id = await broker.initProducerId({ transactionTimeout: TRANSACTION_TIMEOUT_MS });
  return { producerId: Number(id.producerId), producerEpoch: id.producerEpoch };
}
