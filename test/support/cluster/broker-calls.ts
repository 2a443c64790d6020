import { waitUntil } from "../wait-until.ts";
import type { FieldReader, FieldWriter } from "./fields.ts";
import { BrokerError, ProtocolClient, type Request } from "./protocol.ts";

export const broker_ms_max = 20_000;
const leader_ms_max = 30_000;
const retry_ms = 50;

/**
 * Errors that pass by themselves: the topic, leader or coordinator is not known yet or has just changed, or too few
 * replicas are in sync.
 */
const PASSING = new Set([3, 5, 6, 14, 15, 16, 19, 20, 51]);

export interface PartitionState {
  readonly error: number;
  /** The leader's node; undefined while there is none. */
  readonly leader: number | undefined;
  readonly leaderEpoch: number;
  readonly replicas: readonly number[];
  readonly inSync: readonly number[];
}

export interface Metadata {
  /** The brokers that the controller knows as alive. */
  readonly nodes: readonly number[];
  readonly topics: ReadonlyMap<string, readonly PartitionState[]>;
}

export interface Answered<T> {
  readonly code: number;
  readonly value: T;
}

/** Requests to whichever broker is the right one. */
export class BrokerCalls {
  readonly #client: ProtocolClient;

  /** `addresses`: the brokers' addresses without login, by node. `isUp`: whether a broker is to be asked. */
  constructor(
    private readonly addresses: ReadonlyMap<number, string>,
    private readonly isUp: (node: number) => boolean,
    answer_ms_max = 15_000,
  ) {
    this.#client = new ProtocolClient(answer_ms_max);
  }

  up(): number[] {
    return [...this.addresses.keys()].filter((node) => this.isUp(node));
  }

  /** Asks one broker, or the first that answers. */
  async ask(request: Request, node?: number): Promise<FieldReader> {
    let last: unknown = new Error("No broker is up.");
    for (const asked of node === undefined ? this.up() : [node]) {
      try {
        return await this.#client.ask(this.addresses.get(asked) as string, request);
      } catch (e) {
        last = e;
      }
    }
    throw last;
  }

  /** Asks whichever broker leads the partition, retrying until the one asked is indeed the leader. */
  askLeader<T>(topic: string, partition: number, request: Request, read: (answer: FieldReader) => Answered<T>): Promise<T> {
    return this.retried(async () => {
      const leader = await this.leader(topic, partition);
      if (leader === undefined) throw new BrokerError(5, `${topic} ${partition} has no leader`);
      const { code, value } = read(await this.ask(request, leader));
      check(code, `${topic} ${partition}, api ${request.apiKey}`);
      return value;
    });
  }

  async retried<T>(attempt: () => Promise<T>): Promise<T> {
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

  /** The metadata of these topics, or of all topics if `topics` is null. */
  async metadata(topics: readonly string[] | null, node?: number): Promise<Metadata> {
    const write = (fields: FieldWriter) =>
      (topics === null ? fields.int32(-1) : fields.array(topics, (name) => fields.string(name))).boolean(false);
    const answer = await this.ask({ apiKey: 3, apiVersion: 7, write }, node);
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

  async leader(topic: string, partition: number): Promise<number | undefined> {
    return (await this.metadata([topic])).topics.get(topic)?.[partition]?.leader;
  }

  /** Waits until the topic has that many partitions, each with a leader. */
  async led(topic: string, count: number): Promise<void> {
    await waitUntil(
      `for the leaders of ${topic}`,
      async () => {
        const partitions = (await this.metadata([topic])).topics.get(topic) ?? [];
        return partitions.length === count && partitions.every(({ leader }) => leader !== undefined);
      },
      { wait_ms_max: leader_ms_max, interval_ms: retry_ms },
    );
  }

  /** Waits for a leader that is not among `but`. */
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

  /** The coordinator of a transactional id. */
  coordinator(transactionalId: string): Promise<number> {
    return this.retried(async () => {
      const write = (fields: FieldWriter) => fields.string(transactionalId).int8(1);
      const answer = await this.ask({ apiKey: 10, apiVersion: 1, write });
      answer.int32();
      check(answer.int16(), `the coordinator of ${transactionalId}: ${answer.string() ?? ""}`);
      return answer.int32();
    });
  }

  close(): Promise<void> {
    return this.#client.close();
  }
}

export function check(code: number, what: string): void {
  if (code !== 0) throw new BrokerError(code, what);
}

/** Reads topics with their partitions; `read` reads what follows each partition's number. */
export const partitionsOf = <T>(fields: FieldReader, read: () => T): T[] =>
  fields
    .array(() => {
      fields.string();
      return fields.array(() => {
        fields.int32();
        return read();
      });
    })
    .flat();

export function partitionAnswer<T>(fields: FieldReader, read: () => Answered<T>): Answered<T> {
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
