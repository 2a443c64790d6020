import { Database } from "bun:sqlite";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, systemClock } from "../../src/system/clock.ts";
import { MemoryBroker, type MemoryFaults } from "../log/memory/memory-log.ts";
import type { CommittedOffset } from "../../src/log/membership.ts";
import type { Log, NewRecord } from "../../src/log/port.ts";
import { ORDER_SERVICE_PROJECTIONS } from "../../src/services/orders/slices.ts";
import type { AppError } from "../../src/errors.ts";
import { findOrder } from "../support/find-order.ts";
import type { OrderEvent } from "../../src/orders/events/kinds.ts";
import { DeadLetters } from "../../src/runtime/dead-letters/dead-letters.ts";
import { PartitionSet } from "../../src/runtime/partition-set.ts";
import { storeKindOf } from "../../src/runtime/projections.ts";
import { zstd } from "../../src/runtime/snapshots/compression.ts";
import { Restorer } from "../../src/runtime/snapshots/restorer.ts";
import type { SetSnapshotsOptions } from "../../src/runtime/snapshots/set-snapshots.ts";
import { Snapshots } from "../../src/runtime/snapshots/snapshots.ts";
import type { RestoreProgress, HeldPartitions } from "../../src/runtime/held-partitions.ts";
import { openByteFile } from "../../src/runtime/store/byte-file.ts";
import { restoreStore } from "../../src/runtime/store/copy/restored-store.ts";
import type { ObjectStorage } from "../../src/storage/object-storage.ts";
import type { OpenBytes } from "../../src/runtime/store/store-files.ts";
import { moveAside, openDatabase, type Unusable } from "../../src/runtime/store/store-file.ts";
import { type OpenFile, openSqliteFile } from "../../src/runtime/store/store-database.ts";
import type { Stores } from "../../src/runtime/store/store-opening.ts";
import { PartitionStore } from "../../src/runtime/store/store.ts";
import { Metrics } from "../../src/telemetry/metrics.ts";
import type { ApplyTracer } from "../../src/telemetry/tracer.ts";
import { recordOf } from "../support/events/orders.ts";
import { committedRecords } from "../support/events/records.ts";
import { waitUntil } from "../support/wait-until.ts";

export const TOPIC = "orders";
export const DEAD_LETTER_TOPIC = "orders.dlq";
const BACKOFF = { backoff_ms_min: 1, backoff_ms_max: 20 };

export const poison = (partition: number, value: string): NewRecord => ({
  partition,
  key: "ORD-1",
  value,
  headers: [["h", "1"]],
  timestamp_ms: 1,
});

/**
 * The answer to a client that asks for the order, where all orders belong to partition `home`; see `findOrder` for
 * `searched`.
 */
export const answerFor = (set: HeldPartitions, orderId: string, home = 0, searched?: ReadonlySet<number>): string => {
  try {
    return findOrder(set, () => home, orderId, searched).status;
  } catch (e) {
    return (e as AppError).code;
  }
};

export const eventually = (probe: () => boolean): Promise<boolean> =>
  waitUntil(() => `never: ${probe.toString()}`, probe, { wait_ms_max: 5_000 });

/** The real partition set with the order projection, on the log in memory and stores in a temporary directory. */
export class Rig implements AsyncDisposable {
  readonly broker: MemoryBroker;
  readonly log: Log;
  readonly dir = mkdtempSync(join(tmpdir(), "runtime-"));
  readonly warnings: string[] = [];
  /** Why stores were set aside. */
  readonly setAsideFor: string[] = [];
  /** The offsets that were reported to have become readable. */
  readonly readable: number[] = [];
  readonly restoring: [message: string, progress: RestoreProgress | undefined][] = [];
  readonly metrics = new Metrics("order-service", () => performance.now() / 1_000);
  readonly #snapshotMeter = this.metrics.snapshots();
  tracer: ApplyTracer | undefined;
  readonly #sets: PartitionSet[] = [];
  owner = true;
  /** See `PartitionSetOptions`. */
  gather_ms = 0;
  /** What owners have committed to the group, as standbys hear it. */
  readonly committed = new Map<number, CommittedOffset>();
  mayBeginLate = false;
  /** Says what other members have; absent if there are none. */
  earlierElsewhere: Stores["earlierElsewhere"];
  lateStartWait_ms = 0;
  projections = ORDER_SERVICE_PROJECTIONS;
  beforeSettingAside = (): void => undefined;
  openBytes: OpenBytes = openByteFile;
  logId = "log";
  /** Where snapshots are kept, if any are taken. */
  storage: ObjectStorage | undefined;
  snapshot_wait_ms = 1;
  snapshots_kept = 3;
  /** What was told of snapshots. */
  readonly told: string[] = [];
  createDeadLetterTopic: (() => Promise<unknown>) | undefined;
  /** Added to the partition set's clock, so that a test need not wait. */
  passed_ms = 0;
  /** How many times as fast time passes for the partition set. */
  pace = 1;
  readonly #began_ms = systemClock.now_ms();
  readonly clock: Clock = {
    ...systemClock,
    now_ms: () => this.#began_ms + (systemClock.now_ms() - this.#began_ms) * this.pace + this.passed_ms,
    sleep: (ms, signal) => systemClock.sleep(ms / this.pace, signal),
  };

  constructor(faults?: MemoryFaults) {
    let ids = 0;
    this.broker = new MemoryBroker({ clock: systemClock, newUuid: () => `id-${ids++}`, ...(faults ? { faults } : {}) });
    this.log = this.broker.connect("test");
  }

  async prepare(partitions: number): Promise<void> {
    await this.log.createTopic(TOPIC, partitions);
    await this.log.createTopic(DEAD_LETTER_TOPIC, partitions);
  }

  /** Appends events to partition 0; a record of its own can go to another partition. */
  async append(...appended: (OrderEvent | NewRecord)[]): Promise<number[]> {
    const records = appended.map((one) => ("type" in one ? recordOf(one) : one));
    return this.log.producer().append(TOPIC, records);
  }

  storePath(name: string, partition: number): string {
    return join(this.dir, `${name}.${partition}.sqlite`);
  }

  /** How far the store's file has come, whoever has it open; undefined if nothing was ever saved. */
  savedOffset(name: string, partition: number): number | undefined {
    const db = new Database(this.storePath(name, partition), { readonly: true });
    const saved = db.query<{ next_offset: number }, []>("SELECT next_offset FROM position").get()?.next_offset;
    db.close();
    return saved;
  }

  start(name: string, partitions: readonly number[], openFile: OpenFile = openSqliteFile, log: Log = this.log): PartitionSet {
    const common = {
      log,
      topic: TOPIC,
      isOwner: () => this.owner,
      backoff: BACKOFF,
      clock: this.clock,
      random: () => 0.5,
      onWarning: (partition: number | undefined, message: string) => void this.warnings.push(`${partition ?? "all"}: ${message}`),
    };
    const deadLetters = new DeadLetters({
      ...common,
      deadLetterTopic: DEAD_LETTER_TOPIC,
      ...(this.createDeadLetterTopic ? { createTopic: this.createDeadLetterTopic } : {}),
      onAppended: (partition, letters, cut) => this.metrics.deadLettersAppended(partition, letters.length, cut),
    });
    const set = new PartitionSet({
      ...common,
      membership: () => "stable",
      meter: this.metrics,
      tracer: this.tracer,
      deliverDeadLetters: deadLetters.deliver,
      storeKind: "orders@1",
      committed: async () => this.committed,
      mayBeginLate: this.mayBeginLate,
      ...(this.earlierElsewhere ? { earlierElsewhere: this.earlierElsewhere } : {}),
      lateStartWait_ms: this.lateStartWait_ms,
      gather_ms: this.gather_ms,
      onReadable: (records) => void this.readable.push(...records.map(({ offset }) => offset)),
      onRestoreProgress: (message, progress) => void this.restoring.push([message, progress]),
      storePath: (partition) => this.storePath(name, partition),
      snapshots: this.#snapshots(name),
      setStoreAside: (partition, reason) => {
        this.setAsideFor.push(reason);
        this.beforeSettingAside();
        moveAside(this.storePath(name, partition), 0);
      },
      openStore: (partition): PartitionStore | Unusable => {
        const identity = { logId: this.logId, topic: TOPIC };
        const { openBytes } = this;
        const opened = openDatabase(this.storePath(name, partition), this.projections, identity, { openFile, openBytes });
        return "unusable" in opened ? opened : PartitionStore.open(opened.files, this.projections, partition, this.metrics);
      },
    });
    this.#sets.push(set);
    set.start();
    set.partitionCount = partitions.length;
    set.assign(partitions);
    return set;
  }

  #snapshots(name: string): SetSnapshotsOptions | undefined {
    if (this.storage === undefined) return undefined;
    const { clock, storage, logId, projections, snapshot_wait_ms: wait_ms, snapshots_kept: kept } = this;
    const snapshots = new Snapshots({ storage, compression: zstd, clock, random: Math.random, kept });
    const kind = storeKindOf(projections);
    const subject = (partition: number) => ({ logId, topic: TOPIC, partition, kind });
    const begin = (partition: number) => restoreStore(this.storePath(name, partition), projections, { logId, topic: TOPIC });
    const onMessage = (partition: number | undefined, message: string) =>
      void this.told.push(`${partition ?? "all"}: ${message}`);
    const snapshotMeter = this.#snapshotMeter;
    const restorer = new Restorer({ snapshots, subject, begin, snapshotMeter, onMessage });
    return { snapshots, subject, restorer, wait_ms, snapshotMeter, onMessage };
  }

  async deadLetters(): Promise<{ value: string; headers: Map<string, string> }[]> {
    const letters = [];
    for await (const { record } of committedRecords(this.log, DEAD_LETTER_TOPIC)) {
      const headers = new Map(record.headers().map(([key, value]) => [key, String(value && Buffer.from(value))]));
      letters.push({ value: String(record.value), headers });
    }
    return letters;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#sets.map((set) => set.close()));
    await this.log.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
