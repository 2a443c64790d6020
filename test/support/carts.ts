import { commandParts } from "../../src/services/cart/commands/command-parts.ts";
import type { CartCommands } from "../../src/services/cart/commands/commands.ts";
import { indexProjection, type IndexView } from "../../src/services/cart/index/index-projection.ts";
import type { IndexProgress } from "../../src/services/cart/index/index-progress.ts";
import type { OrderIndex } from "../../src/services/cart/index/order-index.ts";
import { OwnCreates } from "../../src/services/cart/index/own-creates.ts";
import { type Elsewhere, nowhere } from "../../src/services/cart/sharing/elsewhere.ts";
import { systemClock } from "../../src/system/clock.ts";
import { AppError } from "../../src/errors.ts";
import { formatLogPosition, type LogPosition } from "../../src/log/log-position.ts";
import type { IdempotentProducer, LogRecord, NewRecord, PartitionEnds, SendOutcome } from "../../src/log/port.ts";
import { partitionFor } from "../../src/log/partitioner.ts";
import { endOffsetsIn } from "../../src/log/read/end-offsets.ts";
import type { ActorState, HeldPartitions, PartitionView } from "../../src/runtime/held-partitions.ts";
import type { ProjectionStore } from "../../src/runtime/projection.ts";
import { MemoryFiles } from "./stores/memory-files.ts";
import { onlyView } from "./stores/only-view.ts";
import { storedRecord } from "./events/records.ts";
import { placingIn } from "./events/placing.ts";

/** A log made of lists, shared by the carts of a test. */
export class ListLog {
  readonly partitions: LogRecord[][];
  /** The leader epoch of each partition. */
  readonly epochs: number[];
  topicId: string | undefined;
  /** The ends to report instead of the real ones. */
  readonly ends = new Map<number, PartitionEnds>();

  constructor(partitionCount: number) {
    this.partitions = Array.from({ length: partitionCount }, () => []);
    this.epochs = Array.from({ length: partitionCount }, () => 0);
  }

  #together: { left: number; readonly promise: Promise<void>; readonly resolve: () => void } | undefined;

  /** Makes the next `sends` sends wait for each other, so that none of their carts has read what the others append. */
  sendTogether(sends: number): void {
    this.#together = { left: sends, ...Promise.withResolvers<void>() };
  }

  async send(records: readonly NewRecord[]): Promise<SendOutcome[]> {
    const together = this.#together;
    if (together && --together.left > 0) await together.promise;
    this.#together = undefined;
    together?.resolve();
    return records.map((record) => this.append(record));
  }

  append(record: NewRecord): { offset: number; leaderEpoch: number } {
    const list = this.partitions[record.partition]!;
    const [offset, leaderEpoch] = [list.length, this.epochs[record.partition]!];
    list.push(storedRecord(record, offset, leaderEpoch));
    return { offset, leaderEpoch };
  }

  endsOf(partition: number): PartitionEnds {
    const endOffset = this.partitions[partition]!.length;
    const leaderEpoch = this.epochs[partition]!;
    return this.ends.get(partition) ?? { startOffset: 0, endOffset, stableOffset: endOffset, leaderEpoch };
  }
}

/** A partition of a cart's index. It reads when somebody waits, unless it is held, and its state is set by the test. */
export class ListPartition implements PartitionView {
  state: ActorState = "running";
  nextOffset = 0;
  halted: string | undefined;
  hindered: string | undefined;
  isComplete = true;
  readonly hasBeenComplete = true;
  readonly hasReachedEnd = true;
  isLagging = false;
  doubt: string | undefined;
  leaderEpoch = 0;
  isHeld = false;
  readonly startedAt = 0;
  readonly digest = undefined;
  readonly view: PartitionView["view"];

  constructor(
    readonly log: ListLog,
    readonly partition: number,
    readonly store: ProjectionStore<IndexView>,
  ) {
    this.view = onlyView(store.view);
  }

  get endOffset(): number {
    return this.log.partitions[this.partition]!.length;
  }

  read(): void {
    const unread = this.log.partitions[this.partition]!.slice(this.nextOffset);
    for (const record of unread) this.store.fold(record);
    this.store.keep();
    this.nextOffset += unread.length;
    this.leaderEpoch = unread.at(-1)?.leaderEpoch ?? this.leaderEpoch;
  }

  async reached(offset: number, wait_ms_max: number): Promise<boolean> {
    const deadline_ms = systemClock.now_ms() + wait_ms_max;
    while (this.nextOffset < offset && systemClock.now_ms() < deadline_ms && this.state !== "halted") {
      await Bun.sleep(1);
      if (!this.isHeld) this.read();
    }
    return this.nextOffset >= offset;
  }

  queryError(e: unknown): AppError {
    return new AppError("STORE_FAILED", String(e));
  }

  halt({ message }: AppError): void {
    this.state = "halted";
    this.isComplete = false;
    this.halted = message;
  }
}

/** The cart's real commands, with an index and an appender on a `ListLog`. */
export class ListCart {
  readonly held: ListPartition[];
  readonly commands: CartCommands;
  readonly index: OrderIndex;
  readonly progress: IndexProgress;
  readonly ownCreates = new OwnCreates();
  readonly set: HeldPartitions & { readFailure: string | undefined; partitionCount: number };

  constructor(
    readonly log: ListLog,
    append_wait_ms_max = 200,
    elsewhere: Elsewhere = nowhere,
  ) {
    const partitionCount = log.partitions.length;
    const projection = indexProjection(this.ownCreates, placingIn(partitionCount));
    this.held = log.partitions.map((_, p) => new ListPartition(log, p, projection.open(new MemoryFiles([projection]), p)));
    this.set = {
      partitionCount,
      held: () => this.held,
      get: (partition) => this.held[partition],
      membership: "stable",
      readFailure: undefined,
      standstill: undefined,
      restore: undefined,
    };
    const clock = systemClock;
    const ends = async () => ({ topicId: log.topicId, partitions: log.partitions.map((_, p) => log.endsOf(p)) });
    const parts = commandParts({
      log: {
        producer: () => this.#producer(),
        ends,
        endOffsets: async (_topic, _wanted, isolation) => endOffsetsIn(await ends(), isolation),
      },
      topic: "orders",
      partitions: this.set,
      projection,
      ownCreates: this.ownCreates,
      onDisagreement: (partition, error) => this.held[partition]?.halt(error),
      append: { queue_records_max: 100, batch_records_max: 100, value_bytes_max: 1_000_000 },
      place: {
        partitioner: "murmur2",
        settle_ms: 0,
        isTopicNew: () => Promise.resolve(true),
        recall: () => partitionCount,
        remember: () => undefined,
        onMessage: () => undefined,
        ending: new AbortController().signal,
      },
      elsewhere,
      append_wait_ms_max,
      clock,
      random: Math.random,
      newUuid: () => crypto.randomUUID(),
    });
    parts.placement.confirm(partitionCount, clock.now_ms());
    this.index = parts.index;
    this.progress = parts.progress;
    this.commands = parts.commands;
  }

  #producer(): IdempotentProducer {
    return {
      lane: () => "",
      batchBytesMax: () => 1_000_000,
      send: (_, records) => this.log.send(records),
      append: () => Promise.reject(new Error("The appender sends.")),
      close: () => Promise.resolve(),
    };
  }

  create(orderId: string, key?: string, customerId = "C"): Promise<Answer> {
    const cart = { customerId, currency: "USD" as const, items: [{ itemId: "I", quantity: 1, price_hundredths: 100 }] };
    return answer(this.commands.create({ orderId, cart }, context(key, `create ${orderId} ${customerId}`)));
  }

  update(orderId: string, status: "shipped" | "cancelled" | "pending", key?: string): Promise<Answer> {
    const change = { type: "ORDER_STATUS_UPDATED", status } as const;
    return answer(this.commands.change(orderId, change, context(key, `update ${orderId} ${status}`)));
  }
}

const context = (key: string | undefined, fingerprint: string) =>
  key === undefined ? {} : { idempotency: { key, fingerprint } };

/** The event's position, or the error that refused it. */
export type Answer = string | AppError;

const answer = (position: Promise<LogPosition>): Promise<Answer> =>
  position.then(formatLogPosition, (e: unknown) => {
    if (e instanceof AppError) return e;
    throw e;
  });

export const codeOf = (given: Answer): string => (typeof given === "string" ? "ok" : given.code);

/** An order whose home is that partition; a different one for each `n`. */
export const orderIn = (partition: number, partitionCount: number, n = 0): string => {
  for (let id = 1, found = 0; ; id++)
    if (partitionFor("murmur2", `ORD-${id}`, partitionCount) === partition && found++ === n) return `ORD-${id}`;
};
