import { describe, expect, test } from "bun:test";
import type { Batch, LogRecord } from "../../../src/log/port.ts";
import { PartitionActor } from "../../../src/runtime/actor/actor.ts";
import type { ActorEnvironment, DeadLetter } from "../../../src/runtime/actor/actor-environment.ts";
import { STORE_RETRY_WAIT_MS } from "../../../src/runtime/actor/applier.ts";
import { PartitionStore } from "../../../src/runtime/store/store.ts";
import { orderProjection } from "../../../src/services/orders/state/order-projection.ts";
import { logRecordOf, orderCreated, statusUpdated } from "../../support/events/orders.ts";
import { aLogRecord } from "../../support/events/records.ts";
import type { Outcomes, PartitionMeter } from "../../../src/telemetry/meters.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { MemoryFiles } from "../../support/stores/memory-files.ts";

const POISON = (offset: number) => aLogRecord({ offset, key: Buffer.from("ORD-1"), value: Buffer.from("{") });

/** A create, poison, and an update of the order. */
const RECORDS: readonly LogRecord[] = [
  logRecordOf(orderCreated(), 0),
  POISON(1),
  logRecordOf(statusUpdated({ eventId: "b", status: "shipped" }), 2),
];

const batchOf = (records: readonly LogRecord[]): Batch => {
  const [baseOffset, nextOffset] = [records[0]?.offset ?? 0, (records.at(-1)?.offset ?? -1) + 1];
  return { partition: 0, baseOffset, nextOffset, endOffset: nextOffset, stableOffset: nextOffset, leaderEpoch: 0, records };
};

/** Letters on their way; they arrive when the test says so. */
interface Delivery {
  readonly letters: readonly DeadLetter[];
  readonly arrive: () => void;
}

/** A running partition whose store is in memory. */
class Partition {
  readonly clock = new ManualClock();
  readonly deliveries: Delivery[] = [];
  readonly readable: number[] = [];
  /** What was counted of each batch that was applied. */
  readonly outcomes: Outcomes[] = [];
  owner = true;
  readonly actor: PartitionActor;

  constructor(
    environment: Partial<ActorEnvironment> = {},
    readonly files = new MemoryFiles([orderProjection]),
  ) {
    this.actor = new PartitionActor(0, {
      clock: this.clock,
      storePath: () => "",
      isOwner: () => this.owner,
      deliverDeadLetters: (_, letters, signal) => {
        const { promise, resolve, reject } = Promise.withResolvers<void>();
        signal.addEventListener("abort", () => reject(new Error("given up")), { once: true });
        this.deliveries.push({ letters, arrive: resolve });
        return promise;
      },
      onReadable: (records) => void this.readable.push(...records.map(({ offset }) => offset)),
      onDamaged: () => undefined,
      onWarning: () => undefined,
      ...environment,
    });
    const meter: PartitionMeter = {
      now_s: () => 0,
      applied: (_, outcomes) => void this.outcomes.push(outcomes),
      committed: () => undefined,
      opened: () => undefined,
      storeFailed: () => undefined,
      storeSetAside: () => undefined,
    };
    this.actor.open(new PartitionStore(this.files, [orderProjection], 0, () => undefined, meter));
    const ends = { startOffset: 0, endOffset: 0, stableOffset: 0, leaderEpoch: 0 };
    this.actor.hear(this.actor.question, { topicId: "topic", partitions: [ends] });
    this.outcomes.length = 0;
  }

  apply(records: readonly LogRecord[]): Promise<void> | undefined {
    this.actor.accept({ partition: 0, batch: batchOf(records) });
    return this.actor.apply();
  }

  get status(): string | undefined {
    return this.actor.view(orderProjection)?.order("ORD-1")?.status;
  }

  /** What is in the store's file. */
  get savedOffset(): number | undefined {
    return new PartitionStore(this.files, [orderProjection], 0, () => undefined).nextOffset;
  }

  /** What all that may be asked says, of which nothing may change while letters are on their way. */
  get answers() {
    const { nextOffset, digest } = this.actor;
    const view = this.actor.view(orderProjection);
    return { status: this.status, ids: view?.orderIdsAfter("", 10), counts: view?.counts(), nextOffset, digest };
  }

  letTurnsPass(): Promise<void> {
    return this.clock.pass(0);
  }
}

describe("a batch without dead letters", () => {
  test("is applied in one turn, and answered from before it is saved", async () => {
    const partition = new Partition();
    await partition.letTurnsPass();
    expect(partition.apply([RECORDS[0] as LogRecord])).toBeUndefined();
    expect([partition.status, partition.actor.nextOffset, partition.savedOffset]).toEqual(["new", 1, 0]);
    await partition.actor.close();
    expect(partition.savedOffset).toBe(1);
  });

  test("is one where poison is only skipped, as nobody delivers it", () => {
    const partition = new Partition({ deliverDeadLetters: undefined as never });
    expect(partition.apply(RECORDS)).toBeUndefined();
    expect([partition.status, partition.actor.nextOffset]).toEqual(["shipped", 3]);
  });
});

describe("a batch with dead letters", () => {
  test("shows nothing while they are on their way, and everything when they are in the log (I6)", async () => {
    const partition = new Partition();
    await partition.letTurnsPass();
    const before = partition.answers;
    const applying = partition.apply(RECORDS);
    await partition.letTurnsPass();
    expect(partition.answers).toEqual(before);
    expect(partition.readable).toEqual([]);
    expect(partition.deliveries[0]?.letters.map(({ code, record }) => [code, record.offset])).toEqual([["not_json", 1]]);
    partition.deliveries[0]?.arrive();
    await applying;
    expect([partition.status, partition.actor.nextOffset]).toEqual(["shipped", 3]);
    expect(partition.readable).toEqual([0, 2]);
    expect(partition.deliveries).toHaveLength(1);
  });

  test("counts once, although it is folded again: it leads to the same rows as without letters", async () => {
    const partition = new Partition();
    const applying = partition.apply(RECORDS);
    partition.deliveries[0]?.arrive();
    await applying;
    const without = new Partition();
    void without.apply(RECORDS.filter(({ offset }) => offset !== 1));
    expect(partition.actor.digest).toBe(without.actor.digest as string);
    expect(partition.actor.view(orderProjection)?.counts()).toEqual({ orders: 1, held: 0 });
    expect(partition.outcomes).toEqual([{ applied: 2, duplicate: 0, held: 0, ignored: 0, dead: 1 }]);
  });

  test("is saved at once: after a crash the letters need not be looked for", async () => {
    const partition = new Partition();
    const applying = partition.apply(RECORDS);
    partition.deliveries[0]?.arrive();
    await applying;
    await partition.actor.saver?.running;
    expect(partition.savedOffset).toBe(3);
  });

  test("takes no other records meanwhile", async () => {
    const partition = new Partition();
    const applying = partition.apply(RECORDS);
    expect([partition.actor.wanted, partition.actor.accepted]).toEqual([undefined, undefined]);
    partition.deliveries[0]?.arrive();
    await applying;
    expect(partition.actor.wanted).toBe(3);
  });

  test("is read again if the partition has another owner by then, and nothing of it was applied (I2)", async () => {
    const partition = new Partition();
    await partition.letTurnsPass();
    const before = partition.answers;
    const applying = partition.apply(RECORDS);
    partition.owner = false;
    partition.deliveries[0]?.arrive();
    await applying;
    expect([partition.answers, partition.actor.wanted]).toEqual([before, 0]);
    partition.owner = true;
    const again = partition.apply(RECORDS);
    partition.deliveries[1]?.arrive();
    await again;
    expect(partition.status).toBe("shipped");
  });

  test("is read again if it was interrupted by then: the log may hold other records now", async () => {
    const partition = new Partition();
    await partition.letTurnsPass();
    const before = partition.answers;
    const applying = partition.apply(RECORDS);
    partition.actor.accept({ partition: 0, interrupted: "The partition has another leader." });
    partition.deliveries[0]?.arrive();
    await applying;
    expect(partition.answers).toEqual(before);
  });

  test("is given up with its partition, which has applied nothing of it", async () => {
    const partition = new Partition();
    await partition.letTurnsPass();
    void partition.apply(RECORDS);
    await partition.actor.close();
    expect(partition.savedOffset).toBe(0);
  });

  test("stays as it was, and halts nothing, if there is no memory to fold it in: the process ends by that", async () => {
    const before = new Partition();
    void before.apply(RECORDS.slice(0, 1));
    await before.actor.close();
    const { files } = before;
    const partition = new Partition({}, files);
    files.bytes("records").fault = () => {
      throw new RangeError("Out of memory");
    };
    expect(() => partition.apply(RECORDS)).toThrow("Out of memory");
    expect([partition.actor.halted, partition.actor.nextOffset]).toEqual([undefined, 1]);
    files.bytes("records").fault = undefined;
    const applying = partition.actor.apply();
    partition.deliveries[0]?.arrive();
    await applying;
    expect([partition.status, partition.actor.nextOffset]).toEqual(["shipped", 3]);
  });

  test("is folded once the store can be read again, if it could not be: the partition is suspended until then", async () => {
    const before = new Partition();
    void before.apply(RECORDS.slice(0, 1));
    await before.actor.close();
    const { files } = before;
    const partition = new Partition({}, files);
    files.bytes("records").fault = () => {
      throw Object.assign(new Error("the disk cannot be read"), { code: "EIO" });
    };
    const applying = partition.apply(RECORDS);
    await partition.letTurnsPass();
    expect([partition.actor.state, partition.actor.nextOffset, partition.deliveries.length]).toEqual(["suspended", 1, 0]);
    files.bytes("records").fault = undefined;
    await partition.clock.pass(STORE_RETRY_WAIT_MS);
    partition.deliveries[0]?.arrive();
    await applying;
    expect([partition.status, partition.actor.nextOffset]).toEqual(["shipped", 3]);
  });
});
