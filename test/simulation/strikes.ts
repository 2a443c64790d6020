import { FORGED } from "./letters.ts";
import type { NewRecord } from "../../src/log/port.ts";
import { DEAD_LETTER_HEADERS } from "../../src/log/record-headers.ts";
import { Violation } from "../reference/violation.ts";
import { foreignUpdate } from "./foreign-programs.ts";
import type { StrikeStep } from "./plan-strikes.ts";
import { OF_APPENDS, OF_LETTERS, OF_SIZE, ofPartition, ofTransaction } from "./troubles.ts";
import { DEAD_LETTERS, TOPIC } from "./topic-names.ts";
import type { World } from "./world.ts";

/** Does to the log, or leaves in it as strangers do, what the steps say. */
export class Strikes {
  /** What to do to make the topics whole again. */
  readonly #repairs = new Set<() => void>();
  #foreign = 0;
  violation: Violation | undefined;
  /** When the last transaction that was begun ends. */
  transactionsUntil_ms = 0;

  /** `isCalm` says that nothing happens to processes. */
  constructor(
    private readonly world: World,
    private readonly isCalm: boolean,
  ) {}

  take(step: StrikeStep): void {
    switch (step.do) {
      case "lose-records":
        return this.#loseRecords(step);
      case "lose-unapplied":
        return this.#loseUnapplied(step);
      case "remake-topic":
        return this.#remake(step);
      case "deny":
        return this.#deny(step);
      case "shrink-batches":
        return this.#shrink(step);
      case "small-letters":
        this.world.broker.topics.growTo(DEAD_LETTERS, this.world.options.partitions, { record_bytes_max: step.bytes });
        return;
      case "transaction":
        return this.#transaction(step);
      case "undecodable":
        return this.#undecodable(step);
      case "forge-letters":
        for (let n = 0; n < step.count; n++) this.#forgeLetter(step.share, step.offset + n);
        return;
    }
  }

  /** Repairs everything that can be repaired. */
  end(): void {
    for (const repair of this.#repairs) repair();
    this.#repairs.clear();
  }

  /** Repairs once: after `for_ms`, or when all strikes end. */
  #repairAfter(for_ms: number, repair: () => void): void {
    this.#repairs.add(repair);
    this.world.later(for_ms, () => {
      if (this.#repairs.delete(repair)) repair();
    });
  }

  #partitionOf(share: number): number {
    return Math.floor(share * this.world.broker.topics.topic(TOPIC).length);
  }

  #loseRecords({ share, lost_records, regrown_records }: Extract<StrikeStep, { do: "lose-records" }>): void {
    const partition = this.#partitionOf(share);
    const found = this.world.broker.topics.topic(TOPIC)[partition];
    if (!found || found.entries.length === 0) return;
    // No leader has less than what everybody has deleted.
    const cut = Math.max(found.hiddenBefore, found.entries.length - lost_records);
    // A replica has the whole batch or nothing of it.
    const halved = found.entries.find((entry) => entry?.undecodable && entry.offset < cut && cut <= entry.undecodable.lastOffset);
    this.#loseFrom(partition, halved?.offset ?? cut, regrown_records);
  }

  #loseUnapplied({ share, count, isUndecodable, regrown_records, for_ms }: Extract<StrikeStep, { do: "lose-unapplied" }>): void {
    const { topics } = this.world.broker;
    const partition = this.#partitionOf(share);
    const found = topics.topic(TOPIC)[partition];
    if (!found) return;
    const endOffset = found.entries.length;
    if (isUndecodable) this.#landUndecodable(partition, count);
    else topics.openTransaction(TOPIC, this.#foreignRecords(partition, count)).end(false);
    // Nothing is lost if the topic was deleted or has lost more in the meantime.
    this.#repairAfter(for_ms, () => {
      if (topics.topic(TOPIC)[partition] === found && found.entries.length > endOffset)
        this.#loseFrom(partition, endOffset, regrown_records);
    });
  }

  #loseFrom(partition: number, endOffset: number, regrown_records: number): void {
    const { broker, losses, creates, scheduler } = this.world;
    const lost = broker.topics.partition(TOPIC, partition).entries.slice(endOffset);
    losses.note(partition, endOffset, lost, scheduler.now_ms);
    broker.topics.elect(TOPIC, partition, endOffset);
    creates.forget();
    this.#regrow(partition, regrown_records);
  }

  #remake({ topic, regrown_records, for_ms }: Extract<StrikeStep, { do: "remake-topic" }>): void {
    const { broker, losses, creates, deletedLetters, troubles, scheduler } = this.world;
    const name = topic === "orders" ? TOPIC : DEAD_LETTERS;
    const count = broker.topics.topic(name).length;
    if (count === 0) return;
    for (const [partition, { entries }] of broker.topics.topic(name).entries()) {
      if (topic === "orders") losses.note(partition, 0, entries, scheduler.now_ms);
      else deletedLetters.push(...entries);
    }
    const trouble = topic === "orders" ? OF_APPENDS : OF_LETTERS;
    troubles.begin(trouble);
    broker.topics.deleteTopic(name);
    creates.forget();
    this.#repairAfter(for_ms, () => {
      broker.topics.growTo(name, count);
      broker.topics.notify();
      if (topic === "orders") losses.noteRemade(scheduler.now_ms);
      if (topic === "orders") for (let n = regrown_records; n > 0; n--) this.#regrow(n % count, 1);
      troubles.end(trouble, scheduler.now_ms);
    });
  }

  /** Appends another program's records to the partition. */
  #regrow(partition: number, count: number): void {
    if (count > 0) this.world.append(TOPIC, this.#foreignRecords(partition, count));
  }

  #foreignRecords(partition: number, count: number): NewRecord[] {
    return Array.from({ length: count }, (): NewRecord => {
      const id = `f1000000-0000-4000-9000-${(++this.#foreign).toString(16).padStart(12, "0")}`;
      const order_id = `ORD-${this.#foreign % 5}`;
      const value = foreignUpdate(id, order_id, "shipped");
      return { partition, key: order_id, value, headers: [], timestamp_ms: 0 };
    });
  }

  #deny({ topic, for_ms }: Extract<StrikeStep, { do: "deny" }>): void {
    const { weather, troubles, scheduler } = this.world;
    const name = topic === "orders" ? TOPIC : DEAD_LETTERS;
    const trouble = topic === "orders" ? OF_APPENDS : OF_LETTERS;
    weather.denied.add(name);
    troubles.begin(trouble);
    this.#repairAfter(for_ms, () => {
      weather.denied.delete(name);
      troubles.end(trouble, scheduler.now_ms);
    });
  }

  #shrink({ topic, bytes, for_ms }: Extract<StrikeStep, { do: "shrink-batches" }>): void {
    const { broker, troubles, scheduler } = this.world;
    const name = topic === "orders" ? TOPIC : DEAD_LETTERS;
    const trouble = topic === "orders" ? OF_SIZE : OF_LETTERS;
    const before = broker.topics.find(name)?.record_bytes_max;
    if (before === undefined || before < bytes) return;
    broker.topics.setRecordBytesMax(name, bytes);
    troubles.begin(trouble);
    this.#repairAfter(for_ms, () => {
      broker.topics.setRecordBytesMax(name, before);
      troubles.end(trouble, scheduler.now_ms);
    });
  }

  #transaction({ order, status, count, isCommitted, for_ms }: Extract<StrikeStep, { do: "transaction" }>): void {
    const { broker, creates, troubles, scheduler } = this.world;
    const key = `ORD-${order}`;
    const partition = creates.partitionOf(key) ?? order % Math.max(1, broker.topics.topic(TOPIC).length);
    if (!broker.topics.topic(TOPIC)[partition]) return;
    const records = Array.from({ length: count }, (): NewRecord => {
      const event_id = `f2000000-0000-4000-9000-${(++this.#foreign).toString(16).padStart(12, "0")}`;
      return { partition, key, value: foreignUpdate(event_id, key, status), headers: [], timestamp_ms: 0 };
    });
    const transaction = broker.topics.openTransaction(TOPIC, records);
    const concerned = [ofPartition(partition), ofTransaction(partition)];
    for (const what of concerned) troubles.begin(what);
    this.transactionsUntil_ms = Math.max(this.transactionsUntil_ms, scheduler.now_ms + for_ms);
    this.#repairAfter(for_ms, () => {
      if (this.isCalm) this.#requireLive();
      transaction.end(isCommitted);
      for (const what of concerned) troubles.end(what, scheduler.now_ms);
    });
  }

  /** Checks that no process counts as useless because of records that nobody can read yet. */
  #requireLive(): void {
    for (const { cart, orders, owner } of [...this.world.running("cart"), ...this.world.running("order-service")]) {
      const { standstill } = (cart ?? orders)?.partitions ?? {};
      if (standstill !== undefined) this.violation ??= new Violation("no-false-standstill", `${owner.name}: ${standstill}`);
    }
  }

  #undecodable({ share, count }: Extract<StrikeStep, { do: "undecodable" }>): void {
    const partition = this.#partitionOf(share);
    if (this.world.broker.topics.topic(TOPIC)[partition]) this.#landUndecodable(partition, count);
  }

  #landUndecodable(partition: number, count: number): void {
    const { broker, troubles } = this.world;
    troubles.poisoned.add(partition);
    broker.topics.landUndecodable(TOPIC, partition, count, "The batch's bytes are none that its checksum is of.");
  }

  #forgeLetter(share: number, offset: number): void {
    const count = this.world.broker.topics.topic(DEAD_LETTERS).length;
    if (count === 0) return;
    const partition = this.#partitionOf(share);
    const headers = [
      [DEAD_LETTER_HEADERS.reason, "not_json"],
      [DEAD_LETTER_HEADERS.detail, "A stranger says so."],
      [DEAD_LETTER_HEADERS.topic, TOPIC],
      [DEAD_LETTER_HEADERS.partition, String(partition)],
      [DEAD_LETTER_HEADERS.offset, String(offset)],
    ] as const;
    this.world.append(DEAD_LETTERS, [{ partition: partition % count, key: null, value: FORGED, headers, timestamp_ms: 0 }]);
  }
}
