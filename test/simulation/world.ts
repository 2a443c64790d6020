import pino from "pino";
import { cartRole } from "../../src/compose/cart.ts";
import { orderServiceRole } from "../../src/compose/order-service.ts";
import type { RestartingCart } from "../../src/services/cart/restarting-cart.ts";
import { type Config, readConfig } from "../../src/config/config.ts";
import type { LogRecord, NewRecord } from "../../src/log/port.ts";
import {
  type AppendFault,
  type FetchFault,
  type LeaderFault,
  MemoryBroker,
  type MemoryFaults,
  type MemoryLog,
} from "../log/memory/memory-log.ts";
import type { OrderService } from "../../src/services/orders/service.ts";
import { Violation } from "../reference/violation.ts";
import { pick } from "../support/random.ts";
import { Creates } from "./creates.ts";
import { Losses } from "./losses.ts";
import { Disk, type FailingCalls, type OnStoreCall } from "./memory-state.ts";
import { OwnedLog } from "./owned-log.ts";
import { Owner, Scheduler, seededRandom, type WallClock } from "./scheduler.ts";
import { Troubles } from "./troubles.ts";
import { Applications } from "./applications.ts";

export const TOPIC = "orders";
export const DEAD_LETTERS = "orders.dlq";

const SESSION_MS = 3_000;
const CONFIG = readConfig({
  ORDERS_TOPIC: TOPIC,
  APPEND_WAIT_MS_MAX: "1500",
  // The sum of three times: how long a partition count is trusted, how long an append may take, and how late a record
  // may land after that.
  PARTITIONS_SETTLE_MS: "5500",
  BACKOFF_MS_MIN: "10",
  BACKOFF_MS_MAX: "300",
  SESSION_TIMEOUT_MS: String(SESSION_MS),
});
const silent = pino({ level: "silent" });

/** How many of the processes read from a log that gives places in bytes. */
const BLOCKS_SHARE = 0.6;

export type Role = "cart" | "order-service";

/** A process that is killed and started again; its disk stays. */
export interface Instance {
  readonly name: string;
  readonly role: Role;
  readonly disk: Disk;
  readonly wallClock: WallClock;
  /** Which calls of its stores fail now and then, as its disk is full. */
  failingCalls: FailingCalls | undefined;
  generation: number;
  running: Running | undefined;
}

export interface Running {
  readonly owner: Owner;
  readonly log: MemoryLog;
  readonly owned: OwnedLog;
  readonly cart?: RestartingCart;
  readonly orders?: OrderService;
  /** Whether it was told to stop. */
  isStopping: boolean;
}

/** What is wrong with the world at the moment. When everything is empty or 0, the world is healthy. */
export class Weather implements MemoryFaults {
  readonly awayInstances = new Set<string>();
  /** What is wrong with the partitions' leaders, by topic and partition. */
  readonly leaders = new Map<string, LeaderFault>();
  /** Topics to which nobody may append. */
  readonly denied = new Set<string>();
  appendFaultChance = 0;
  fetchFaultChance = 0;

  constructor(
    private readonly random: () => number,
    private readonly isStopped: (instance: string) => boolean,
  ) {}

  clear(): void {
    this.awayInstances.clear();
    this.leaders.clear();
    this.denied.clear();
    this.appendFaultChance = 0;
    this.fetchFaultChance = 0;
  }

  away(connection: string): boolean {
    return this.awayInstances.size > 0 && this.awayInstances.has(instanceOf(connection));
  }

  stalled(connection: string): boolean {
    return this.isStopped(instanceOf(connection));
  }

  leader(topic: string, partition: number): LeaderFault {
    return this.leaders.size === 0 ? "ok" : (this.leaders.get(leaderKey(topic, partition)) ?? "ok");
  }

  isDenied(_: string, topic: string): boolean {
    return this.denied.size > 0 && this.denied.has(topic);
  }

  onAppend(): AppendFault {
    if (this.appendFaultChance === 0 || this.random() >= this.appendFaultChance) return "ok";
    return pick(this.random, ["reject", "lose-answer", "lose-answer", "land-late", "hang"] as const);
  }

  onFetch(): FetchFault {
    if (this.fetchFaultChance === 0 || this.random() >= this.fetchFaultChance) return "ok";
    return pick(this.random, ["reject", "empty", "hang", "partial", "partial"] as const);
  }
}

export const leaderKey = (topic: string, partition: number): string => `${topic}-${partition}`;

const instanceOf = (connection: string): string => connection.split("#")[0] ?? connection;

export interface WorldOptions {
  readonly seed: number;
  readonly partitions: number;
  readonly carts: number;
  readonly orderServices: number;
  /** Whether nothing happens to processes and disks. */
  readonly isCalm: boolean;
  readonly trace: (line: string) => void;
}

/**
 * The real services on the log in memory, with disks in memory, in virtual time. Everything in it comes from the seed.
 */
export class World {
  readonly random: () => number;
  readonly scheduler: Scheduler;
  readonly outside: Owner;
  readonly weather: Weather;
  readonly broker: MemoryBroker;
  readonly creates: Creates;
  readonly losses = new Losses();
  readonly troubles = new Troubles();
  readonly applications: Applications;
  /** The records that the dead-letter topic had before it was deleted. */
  readonly deletedLetters: (LogRecord | null)[] = [];
  readonly config: Config;
  readonly instances: Instance[] = [];
  /** Called for each call of any store. */
  onStoreCall: OnStoreCall = () => undefined;
  /** That a process took its store for damaged, although no disk here damages any. */
  damage: Violation | undefined;
  #ids = 0;

  constructor(readonly options: WorldOptions) {
    this.random = seededRandom(options.seed);
    this.scheduler = new Scheduler(this.random);
    this.outside = new Owner(this.scheduler, "outside");
    this.weather = new Weather(this.random, (name) => this.instance(name)?.running?.owner.isStopped ?? false);
    this.broker = new MemoryBroker({
      clock: this.outside,
      newUuid: this.newUuid,
      faults: this.weather,
      latency_ms: () => (this.random() < 0.5 ? 0 : Math.floor(this.random() * 12)),
      session_ms: SESSION_MS,
      request_wait_ms_max: 1_500,
      late_ms: 800,
    });
    this.applications = new Applications(this);
    this.creates = new Creates(this.broker.topics, TOPIC, () => this.scheduler.now_ms);
    this.config = { ...CONFIG, topic_partitions: options.partitions };
    const names = (role: Role, count: number) => Array.from({ length: count }, (_, n) => ({ name: `${role}-${n}`, role }));
    for (const { name, role } of [...names("cart", options.carts), ...names("order-service", options.orderServices)]) {
      const wallClock = { offset_ms: 0 };
      this.instances.push({
        name,
        role,
        disk: new Disk({
          random: this.random,
          isSlow: !options.isCalm,
          onCall: (call, side) => this.onStoreCall(call, side),
          onSetAside: (store) => this.#noteDamage(`${name} sets ${store} aside`),
        }),
        wallClock,
        failingCalls: undefined,
        generation: 0,
        running: undefined,
      });
    }
  }

  /** Returns a version 4 UUID like the real ones, because the index tells keyed events by their version. */
  readonly newUuid = (): string => `00000000-0000-4000-8000-${(++this.#ids).toString(16).padStart(12, "0")}`;

  trace(line: string): void {
    this.options.trace(`${String(this.scheduler.elapsed_ms).padStart(6)} ms  ${line}`);
  }

  get partitionCount(): number {
    return this.broker.topics.topic(TOPIC).length;
  }

  instance(name: string): Instance | undefined {
    return this.instances.find((instance) => instance.name === name);
  }

  start(instance: Instance): void {
    if (instance.running) return;
    instance.generation++;
    const owner = new Owner(this.scheduler, instance.name, instance.wallClock);
    const log = this.broker.connect(`${instance.name}#${instance.generation}`, owner);
    const blockRecords_max = this.random() < BLOCKS_SHARE ? 1 + Math.floor(this.random() * 8) : undefined;
    const owned = new OwnedLog(log, owner, this.scheduler, TOPIC, blockRecords_max);
    const { random, newUuid, config } = this;
    const claimState = () => instance.disk.claim(owner);
    const onIndexDamaged = (reason: string) => this.#noteDamage(`${instance.name}'s index is damaged: ${reason}`);
    const common = { owner, log, owned, isStopping: false };
    const bounds = {
      ...(this.random() < 0.3 && { unsaved_rows_max: 1 + Math.floor(this.random() * 6) }),
      ...(this.random() < 0.7 && { turn_records_max: 1 }),
    };
    const options = { config, bounds, log: owned, claimState, logger: silent, clock: owner, random };
    const running: Running =
      instance.role === "cart"
        ? { ...common, cart: cartRole({ ...options, newUuid, onIndexDamaged }).service }
        : { ...common, orders: orderServiceRole(options).service };
    instance.running = running;
    owner.onEvent = () => this.applications.look(running);
    // Only the service is started: nobody looks at its live figures here.
    (running.cart ?? running.orders)?.start();
    this.trace(`${instance.name} starts`);
  }

  kill(instance: Instance): void {
    if (!instance.running) return;
    instance.running.owner.isDead = true;
    instance.running.log.crash();
    instance.running = undefined;
    this.trace(`${instance.name} is killed`);
  }

  /** Ends all processes and gives back what they hold. */
  end(): void {
    for (const { running, disk } of this.instances) {
      if (running) running.owner.isDead = true;
      disk.lose();
    }
  }

  /** The process whose event is running. */
  get current(): Instance | undefined {
    return this.instances.find(({ running }) => running?.owner === this.scheduler.current);
  }

  running(role: Role): Running[] {
    return this.instances.flatMap(({ role: other, running }) => (other === role && running ? [running] : []));
  }

  later(ms: number, run: () => void): void {
    this.scheduler.at(this.scheduler.now_ms + ms, this.outside, run);
  }

  append(topic: string, records: readonly NewRecord[]): void {
    this.broker.topics.land(topic, records, undefined);
  }

  #noteDamage(what: string): void {
    this.damage ??= new Violation("stores-are-whole", what);
  }
}
