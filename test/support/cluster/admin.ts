import { waitUntil } from "../wait-until.ts";
import type { FieldReader, FieldWriter } from "./fields.ts";
import { BrokerError, ProtocolClient, type Request } from "./protocol.ts";
import { type BatchOptions, recordBatch, type WireRecord } from "./record-batch.ts";

const broker_ms_max = 20_000;
const leader_ms_max = 30_000;
const retry_ms = 50;

/** Errors that pass by themselves: topic, leader or coordinator are not known yet or have just changed; too few replicas are in sync. */
const PASSING = new Set([3, 5, 6, 14, 15, 16, 19, 20, 51]);

export interface PartitionState {
  readonly error: number;
  /** Undefined while it has none. */
  readonly leader: number | undefined;
  readonly leaderEpoch: number;
  readonly replicas: readonly number[];
  readonly inSync: readonly number[];
}

export interface Acl {
  readonly resource: "topic" | "group" | "transactional-id";
  readonly name: string;
  /** Whether all names that begin so are meant. */
  readonly prefix?: boolean;
  readonly operation: "read" | "write" | "create" | "describe";
}

export interface TransactionOf {
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly WireRecord[];
}

export interface OpenTransaction {
  commit(): Promise<void>;
  abort(): Promise<void>;
}

const RESOURCES = { topic: 2, group: 3, "transactional-id": 5 } as const;
const OPERATIONS = { read: 3, write: 4, create: 5, describe: 8 } as const;
const ALLOW = 3;
const LITERAL = 3;
const PREFIXED = 4;
const TOPIC_CONFIG = 2;
const ELECTIONS = { preferred: 0, unclean: 1 } as const;

/** What tests do to a cluster as one who may do everything, and see of it, in Kafka's own protocol and independently of src. */
export class ClusterAdmin {
  readonly #client = new ProtocolClient();

  /** `addresses`: of the brokers by node, without login. `isUp`: which of them are to be asked. */
  constructor(
    private readonly addresses: ReadonlyMap<number, string>,
    private readonly isUp: (node: number) => boolean,
  ) {}

  /** The partitions of a topic by number; empty if there is no such topic. */
  async partitions(topic: string): Promise<PartitionState[]> {
    return (await this.#metadata([topic])).topics.get(topic) ?? [];
  }

  async allTopics(): Promise<ReadonlyMap<string, readonly PartitionState[]>> {
    return (await this.#metadata(null)).topics;
  }

  /** The brokers that the controller knows as alive. */
  async liveNodes(): Promise<number[]> {
    return (await this.#metadata([])).nodes;
  }

  async leader(topic: string, partition: number): Promise<number | undefined> {
    return (await this.partitions(topic))[partition]?.leader;
  }

  /** Waits for a leader that is none of `but`. */
  leaderBut(topic: string, partition: number, ...but: readonly number[]): Promise<number> {
    return waitUntil(
      `for a leader of ${topic} ${partition}, none of ${but.join()}`,
      async () => {
        const leader = await this.leader(topic, partition);
        return leader !== undefined && !but.includes(leader) ? leader : undefined;
      },
      { wait_ms_max: leader_ms_max, interval_ms: retry_ms },
    );
  }

  /**
   * Creates a topic and waits until each partition has a leader. `layout`: the nodes of each partition's replicas, the preferred
   * leader first; a number: so many partitions, three replicas each.
   */
  async createTopic(
    topic: string,
    layout: number | readonly (readonly number[])[],
    configs: Readonly<Record<string, string | number | boolean>> = {},
  ): Promise<void> {
    const assignments = typeof layout === "number" ? [] : layout;
    const answer = await this.#ask({
      apiKey: 19,
      apiVersion: 2,
      write: (fields) =>
        fields
          .array([topic], (name) => {
            fields
              .string(name)
              .int32(typeof layout === "number" ? layout : -1)
              .int16(typeof layout === "number" ? 3 : -1);
            fields.array([...assignments.entries()], ([partition, nodes]) =>
              fields.int32(partition).array(nodes, (node) => fields.int32(node)),
            );
            fields.array(Object.entries(configs), ([key, value]) => fields.string(key).string(String(value)));
          })
          .int32(broker_ms_max)
          .boolean(false),
    });
    answer.int32();
    answer.array(() => {
      answer.string();
      const code = answer.int16();
      check(code, `creating ${topic}: ${answer.string() ?? ""}`);
    });
    const count = typeof layout === "number" ? layout : layout.length;
    await waitUntil(
      `for the leaders of ${topic}`,
      async () => {
        const partitions = await this.partitions(topic);
        return partitions.length === count && partitions.every(({ leader }) => leader !== undefined);
      },
      { wait_ms_max: leader_ms_max, interval_ms: retry_ms },
    );
  }

  /** Deletes a topic and waits until no broker knows it. */
  async deleteTopic(topic: string): Promise<void> {
    const write = (fields: FieldWriter) => fields.array([topic], (name) => fields.string(name)).int32(broker_ms_max);
    const answer = await this.#ask({ apiKey: 20, apiVersion: 1, write });
    answer.int32();
    answer.array(() => check((answer.string(), answer.int16()), `deleting ${topic}`));
    await waitUntil(`for ${topic} to be gone`, async () => {
      for (const node of this.#up()) if (((await this.#metadata([topic], node)).topics.get(topic) ?? []).length > 0) return false;
      return true;
    });
  }

  async addPartitions(topic: string, count: number): Promise<void> {
    const answer = await this.#ask({
      apiKey: 37,
      apiVersion: 0,
      write: (fields) =>
        fields
          .array([topic], (name) => fields.string(name).int32(count).int32(-1))
          .int32(broker_ms_max)
          .boolean(false),
    });
    answer.int32();
    answer.array(() => check((answer.string(), answer.int16()), `adding partitions to ${topic}`, answer.string()));
    await waitUntil(`for ${topic} to have ${count} partitions`, async () => {
      const partitions = await this.partitions(topic);
      return partitions.length === count && partitions.every(({ leader }) => leader !== undefined);
    });
  }

  async setTopicConfigs(topic: string, configs: Readonly<Record<string, string | number | boolean>>): Promise<void> {
    const answer = await this.#ask({
      apiKey: 44,
      apiVersion: 0,
      write: (fields) =>
        fields
          .array([topic], (name) =>
            fields
              .int8(TOPIC_CONFIG)
              .string(name)
              .array(Object.entries(configs), ([key, value]) => fields.string(key).int8(0).string(String(value))),
          )
          .boolean(false),
    });
    answer.int32();
    answer.array(() =>
      check(answer.int16(), `the configs of ${topic}: ${answer.string() ?? ""}`, answer.int8(), answer.string()),
    );
  }

  async electLeader(topic: string, partition: number, election: keyof typeof ELECTIONS): Promise<void> {
    await this.#ask({
      apiKey: 43,
      apiVersion: 1,
      write: (fields) =>
        fields
          .int8(ELECTIONS[election])
          .array([topic], (name) => fields.string(name).array([partition], (number) => fields.int32(number)))
          .int32(broker_ms_max),
    });
  }

  /** Limits (`consumer_byte_rate`, `producer_byte_rate`, `request_percentage`) of a user's clients of one id; a limit of null is taken away. */
  async setQuotas(user: string, clientId: string, limits: Readonly<Record<string, number | null>>): Promise<void> {
    const entity = Object.entries({ user, "client-id": clientId });
    const answer = await this.#ask({
      apiKey: 49,
      apiVersion: 0,
      write: (fields) =>
        fields
          .array([entity], (parts) =>
            fields
              .array(parts, ([type, name]) => fields.string(type).string(name))
              .array(Object.entries(limits), ([key, value]) =>
                fields
                  .string(key)
                  .float64(value ?? 0)
                  .boolean(value === null),
              ),
          )
          .boolean(false),
    });
    answer.int32();
    answer.array(() => check(answer.int16(), `quotas: ${answer.string() ?? ""}`));
  }

  /** Takes effect at a broker some time after this resolves. */
  async allow(user: string, acls: readonly Acl[]): Promise<void> {
    const answer = await this.#ask({
      apiKey: 30,
      apiVersion: 1,
      write: (fields) => fields.array(acls, (acl) => writeAcl(fields, user, acl)),
    });
    answer.int32();
    answer.array(() => check(answer.int16(), `allowing ${user}: ${answer.string() ?? ""}`));
  }

  async disallow(user: string, acls: readonly Acl[]): Promise<void> {
    const answer = await this.#ask({
      apiKey: 31,
      apiVersion: 1,
      write: (fields) => fields.array(acls, (acl) => writeAcl(fields, user, acl)),
    });
    answer.int32();
    const found = answer.array(() => {
      check(answer.int16(), `taking from ${user}: ${answer.string() ?? ""}`);
      return answer.array(() => {
        answer.int16();
        answer.string();
        answer.int8();
        answer.string();
        answer.int8();
        answer.string();
        answer.string();
        answer.int8();
        answer.int8();
      }).length;
    });
    if (found.includes(0)) throw new Error(`${user} had not all of what was to be taken: ${JSON.stringify(acls)}`);
  }

  /** The offset after the last record, open transactions included, of the partition's leader. */
  async end(topic: string, partition: number): Promise<number> {
    const answer = await this.#askLeader(
      topic,
      partition,
      {
        apiKey: 2,
        apiVersion: 2,
        write: (fields) =>
          fields
            .int32(-1)
            .int8(0)
            .array([topic], (name) => fields.string(name).array([partition], (number) => fields.int32(number).int64(-1))),
      },
      (fields) => (
        fields.int32(),
        partitionAnswer(fields, () => ({ code: fields.int16(), value: (fields.int64(), fields.int64()) }))
      ),
    );
    return answer;
  }

  /** Removes the records before `offset`. */
  async deleteRecords(topic: string, partition: number, offset: number): Promise<void> {
    await this.#askLeader(
      topic,
      partition,
      {
        apiKey: 21,
        apiVersion: 0,
        write: (fields) =>
          fields
            .array([topic], (name) => fields.string(name).array([partition], (number) => fields.int32(number).int64(offset)))
            .int32(broker_ms_max),
      },
      (fields) => {
        fields.int32();
        return partitionAnswer(fields, () => {
          const value = fields.int64();
          return { code: fields.int16(), value };
        });
      },
    );
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
    return this.#askLeader(topic, partition, request, (fields) =>
      partitionAnswer(fields, () => {
        const code = fields.int16();
        const value = fields.int64();
        fields.int64();
        fields.int64();
        return { code, value };
      }),
    );
  }

  /** Appends the records in a transaction that stays open. */
  async openTransaction(transactionalId: string, { topic, partition, records }: TransactionOf): Promise<OpenTransaction> {
    const coordinator = await this.#coordinator(transactionalId);
    const started = await this.#retried(async () => {
      const write = (fields: FieldWriter) => fields.string(transactionalId).int32(10 * 60_000);
      const answer = await this.#client.ask(coordinator, { apiKey: 22, apiVersion: 0, write });
      answer.int32();
      check(answer.int16(), `beginning ${transactionalId}`);
      return { id: answer.int64(), epoch: answer.int16() };
    });
    const producer = (fields: FieldWriter) => fields.string(transactionalId).int64(started.id).int16(started.epoch);
    await this.#retried(async () => {
      const answer = await this.#client.ask(coordinator, {
        apiKey: 24,
        apiVersion: 0,
        write: (fields) =>
          producer(fields).array([topic], (name) => fields.string(name).array([partition], (number) => fields.int32(number))),
      });
      answer.int32();
      partitionsOf(answer, () => check(answer.int16(), `adding ${topic} to ${transactionalId}`));
    });
    const batch = recordBatch(records, { producer: { ...started, sequence: 0 }, transactional: true });
    await this.produceBatch(topic, partition, batch, transactionalId);
    const end = (isCommitted: boolean) =>
      this.#retried(async () => {
        const write = (fields: FieldWriter) => producer(fields).boolean(isCommitted);
        const answer = await this.#client.ask(coordinator, { apiKey: 26, apiVersion: 0, write });
        answer.int32();
        check(answer.int16(), `ending ${transactionalId}`);
      });
    return { commit: () => end(true), abort: () => end(false) };
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  #coordinator(transactionalId: string): Promise<string> {
    return this.#retried(async () => {
      const write = (fields: FieldWriter) => fields.string(transactionalId).int8(1);
      const answer = await this.#ask({ apiKey: 10, apiVersion: 1, write });
      answer.int32();
      check(answer.int16(), `the coordinator of ${transactionalId}: ${answer.string() ?? ""}`);
      return this.addresses.get(answer.int32()) as string;
    });
  }

  async #metadata(topics: readonly string[] | null, node?: number) {
    const write = (fields: FieldWriter) =>
      (topics === null ? fields.int32(-1) : fields.array(topics, (name) => fields.string(name))).boolean(false);
    const answer = await this.#ask({ apiKey: 3, apiVersion: 7, write }, node);
    answer.int32();
    const nodes = answer.array(() => {
      const id = answer.int32();
      answer.string();
      answer.int32();
      answer.string();
      return id;
    });
    answer.string();
    answer.int32();
    const read = () => {
      answer.int16();
      const name = answer.string() as string;
      answer.int8();
      const partitions = answer.array(() => readPartition(answer));
      return [name, partitions.toSorted((a, b) => a.number - b.number)] as const;
    };
    return { nodes, topics: new Map(answer.array(read)) };
  }

  #up(): number[] {
    return [...this.addresses.keys()].filter((node) => this.isUp(node));
  }

  /** Asks one broker, or the first that answers. */
  async #ask(request: Request, node?: number): Promise<FieldReader> {
    let last: unknown = new Error("No broker is up.");
    for (const asked of node === undefined ? this.#up() : [node]) {
      try {
        return await this.#client.ask(this.addresses.get(asked) as string, request);
      } catch (e) {
        last = e;
      }
    }
    throw last;
  }

  #askLeader<T>(topic: string, partition: number, request: Request, read: (answer: FieldReader) => Answered<T>): Promise<T> {
    return this.#retried(async () => {
      const leader = await this.leader(topic, partition);
      if (leader === undefined) throw new BrokerError(5, `${topic} ${partition} has no leader`);
      const { code, value } = read(await this.#ask(request, leader));
      check(code, `${topic} ${partition}, api ${request.apiKey}`);
      return value;
    });
  }

  async #retried<T>(attempt: () => Promise<T>): Promise<T> {
    const until_ms = performance.now() + broker_ms_max;
    for (;;) {
      try {
        return await attempt();
      } catch (e) {
        if (!(e instanceof BrokerError && PASSING.has(e.code)) || performance.now() > until_ms) throw e;
      }
      await Bun.sleep(retry_ms);
    }
  }
}

interface Answered<T> {
  readonly code: number;
  readonly value: T;
}

function check(code: number, what: string, ..._rest: readonly unknown[]): void {
  if (code !== 0) throw new BrokerError(code, what);
}

/** Topics with partitions, of which each has its number and then what `read` reads. */
const partitionsOf = <T>(fields: FieldReader, read: () => T): T[] =>
  fields
    .array(() => {
      fields.string();
      return fields.array(() => {
        fields.int32();
        return read();
      });
    })
    .flat();

function partitionAnswer<T>(fields: FieldReader, read: () => Answered<T>): Answered<T> {
  const [answer] = partitionsOf(fields, read);
  if (!answer) throw new Error("The broker answered for no partition.");
  return answer;
}

function readPartition(answer: FieldReader): PartitionState & { readonly number: number } {
  const error = answer.int16();
  const number = answer.int32();
  const leader = answer.int32();
  const leaderEpoch = answer.int32();
  const nodes = () => answer.array(() => answer.int32());
  const [replicas, inSync] = [nodes(), nodes()];
  nodes();
  return { number, error, leader: leader < 0 ? undefined : leader, leaderEpoch, replicas, inSync };
}

const writeAcl = (fields: FieldWriter, user: string, { resource, name, prefix = false, operation }: Acl) =>
  fields
    .int8(RESOURCES[resource])
    .string(name)
    .int8(prefix ? PREFIXED : LITERAL)
    .string(`User:${user}`)
    .string("*")
    .int8(OPERATIONS[operation])
    .int8(ALLOW);
