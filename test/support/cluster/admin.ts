import { waitUntil } from "../wait-until.ts";
import { BrokerCalls, broker_ms_max, check, partitionAnswer, type PartitionState } from "./broker-calls.ts";
import type { FieldReader, FieldWriter } from "./fields.ts";
import { openTransaction, type OpenTransaction, type TransactionOf } from "./open-transaction.ts";
import type { Request } from "./protocol.ts";
import { type BatchOptions, recordBatch, type WireRecord } from "./record-batch.ts";
import { type Acl, allow, disallow, setQuotas } from "./rights-and-quotas.ts";

const REPLICAS = 3;

/** A test's unrestricted access to a cluster, in Kafka's own protocol and independently of src. */
export class ClusterAdmin {
  readonly #calls: BrokerCalls;

  /** `addresses`: the brokers' addresses without login, by node. `isUp`: whether a broker is to be asked. */
  constructor(addresses: ReadonlyMap<number, string>, isUp: (node: number) => boolean) {
    this.#calls = new BrokerCalls(addresses, isUp);
  }

  /** The partitions of a topic by number; empty if there is no such topic. */
  async partitions(topic: string): Promise<readonly PartitionState[]> {
    return (await this.#calls.metadata([topic])).topics.get(topic) ?? [];
  }

  async allTopics(): Promise<ReadonlyMap<string, readonly PartitionState[]>> {
    return (await this.#calls.metadata(null)).topics;
  }

  /** The brokers that the controller knows as alive. */
  async liveNodes(): Promise<readonly number[]> {
    return (await this.#calls.metadata([])).nodes;
  }

  leader(topic: string, partition: number): Promise<number | undefined> {
    return this.#calls.leader(topic, partition);
  }

  /** Waits for a leader that is not among `but`. */
  leaderBut(topic: string, partition: number, ...but: readonly number[]): Promise<number> {
    return this.#calls.leaderBut(topic, partition, ...but);
  }

  /**
   * Creates a topic and waits until each partition has a leader. `layout`: the nodes of each partition's replicas, the
   * preferred leader first; or a number of partitions, with three replicas each.
   */
  async createTopic(
    topic: string,
    layout: number | readonly (readonly number[])[],
    configs: Readonly<Record<string, string | number | boolean>> = {},
  ): Promise<void> {
    const [count, replicas, assignments] = typeof layout === "number" ? [layout, REPLICAS, []] : [-1, -1, layout];
    const writeTopic = (fields: FieldWriter) =>
      fields
        .string(topic)
        .int32(count)
        .int16(replicas)
        .array([...assignments.entries()], ([partition, nodes]) =>
          fields.int32(partition).array(nodes, (node) => fields.int32(node)),
        )
        .array(Object.entries(configs), ([key, value]) => fields.string(key).string(String(value)));
    const write = (fields: FieldWriter) =>
      fields
        .array([topic], () => writeTopic(fields))
        .int32(broker_ms_max)
        .boolean(false);
    const answer = await this.#calls.ask({ apiKey: 19, apiVersion: 2, write });
    answer.int32();
    eachTopic(answer, () => check(answer.int16(), `creating ${topic}: ${answer.string() ?? ""}`));
    await this.#calls.led(topic, typeof layout === "number" ? layout : layout.length);
  }

  /** Deletes a topic and waits until no broker knows it. */
  async deleteTopic(topic: string): Promise<void> {
    const write = (fields: FieldWriter) => fields.array([topic], (name) => fields.string(name)).int32(broker_ms_max);
    const answer = await this.#calls.ask({ apiKey: 20, apiVersion: 1, write });
    answer.int32();
    eachTopic(answer, () => check(answer.int16(), `deleting ${topic}`));
    await waitUntil(`for ${topic} to be gone`, async () => {
      const known = this.#calls.up().map(async (node) => (await this.#calls.metadata([topic], node)).topics.get(topic) ?? []);
      return (await Promise.all(known)).flat().length === 0;
    });
  }

  async addPartitions(topic: string, count: number): Promise<void> {
    const write = (fields: FieldWriter) =>
      fields
        .array([topic], (name) => fields.string(name).int32(count).int32(-1))
        .int32(broker_ms_max)
        .boolean(false);
    const answer = await this.#calls.ask({ apiKey: 37, apiVersion: 0, write });
    answer.int32();
    eachTopic(answer, () => check(answer.int16(), `adding partitions to ${topic}: ${answer.string() ?? ""}`));
    await this.#calls.led(topic, count);
  }

  /** Adds the ACLs, which take effect at a broker some time after this resolves. */
  allow(user: string, acls: readonly Acl[]): Promise<void> {
    return allow(this.#calls, user, acls);
  }

  disallow(user: string, acls: readonly Acl[]): Promise<void> {
    return disallow(this.#calls, user, acls);
  }

  setQuotas(user: string, clientId: string, limits: Readonly<Record<string, number | null>>): Promise<void> {
    return setQuotas(this.#calls, user, clientId, limits);
  }

  /** The offset after the last record on the partition's leader, open transactions included. */
  end(topic: string, partition: number): Promise<number> {
    const write = (fields: FieldWriter) =>
      fields
        .int32(-1)
        .int8(0)
        .array([topic], (name) => fields.string(name).array([partition], (number) => fields.int32(number).int64(-1)));
    return this.#calls.askLeader(topic, partition, { apiKey: 2, apiVersion: 2, write }, (answer) => {
      answer.int32();
      return partitionAnswer(answer, () => {
        const code = answer.int16();
        answer.int64();
        return { code, value: answer.int64() };
      });
    });
  }

  /** Removes the records before `offset`. */
  async deleteRecords(topic: string, partition: number, offset: number): Promise<void> {
    const write = (fields: FieldWriter) =>
      fields
        .array([topic], (name) => fields.string(name).array([partition], (number) => fields.int32(number).int64(offset)))
        .int32(broker_ms_max);
    await this.#calls.askLeader(topic, partition, { apiKey: 21, apiVersion: 0, write }, (answer) => {
      answer.int32();
      return partitionAnswer(answer, () => {
        const value = answer.int64();
        return { code: answer.int16(), value };
      });
    });
  }

  /** Appends the records as one batch and resolves with the first one's offset once all in-sync replicas have it. */
  produce(topic: string, partition: number, records: readonly WireRecord[], options?: BatchOptions): Promise<number> {
    return this.produceBatch(topic, partition, recordBatch(records, options));
  }

  produceBatch(topic: string, partition: number, batch: Buffer, transactionalId: string | null = null): Promise<number> {
    const request: Request = {
      apiKey: 0,
      apiVersion: 7,
      write: (fields) =>
        fields
          .string(transactionalId)
          .int16(-1)
          .int32(broker_ms_max)
          .array([topic], (name) => fields.string(name).array([partition], (number) => fields.int32(number).bytes(batch))),
    };
    return this.#calls.askLeader(topic, partition, request, (answer) =>
      partitionAnswer(answer, () => {
        const code = answer.int16();
        const value = answer.int64();
        answer.int64();
        answer.int64();
        return { code, value };
      }),
    );
  }

  /** Appends the records in a transaction that stays open. */
  openTransaction(transactionalId: string, transaction: TransactionOf): Promise<OpenTransaction> {
    const produceBatch = this.produceBatch.bind(this);
    return openTransaction(this.#calls, produceBatch, transactionalId, transaction);
  }

  close(): Promise<void> {
    return this.#calls.close();
  }
}

/** Reads an array of topics; `read` reads what follows each topic's name. */
const eachTopic = (answer: FieldReader, read: () => unknown): void => {
  answer.array(() => {
    answer.string();
    read();
  });
};
