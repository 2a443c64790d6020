import pino from "pino";
import { cartRole, type CartRoleOptions } from "../../src/compose/cart.ts";
import type { PeerOptions } from "../../src/compose/peers.ts";
import { orderServiceRole, type OrderServiceRoleOptions } from "../../src/compose/order-service.ts";
import type { CartService } from "../../src/services/cart/service.ts";
import { type Config, readConfig } from "../../src/config/config.ts";
import type { LogRecord, NewRecord } from "../../src/log/port.ts";
import { MemoryBroker, type MemoryLog } from "../log/memory/memory-log.ts";
import type { HttpApp } from "../../src/http/app.ts";
import type { OrderService } from "../../src/services/orders/service.ts";
import { Violation } from "../reference/violation.ts";
import { Creates } from "./creates.ts";
import { Losses } from "./losses.ts";
import type { FailingCalls, OnStoreCall } from "./file-handles.ts";
import { Disk, UNHEARD } from "./memory-state.ts";
import { OwnedLog } from "./owned-log.ts";
import { Owner, Scheduler, seededRandom, type WallClock } from "./scheduler.ts";
import { noCompression, SimulatedStorage } from "./simulated-storage.ts";
import { TOPIC } from "./topic-names.ts";
import { Weather } from "./weather.ts";
import { Troubles } from "./troubles.ts";
import { Applications } from "./applications.ts";
import { endpointOf, PeerNetwork } from "./peer-network.ts";

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
  READ_WAIT_MS_MAX: "1000",
  SNAPSHOT_WAIT_MS: "1000",
  SNAPSHOTS_KEPT: "2",
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
  readonly cart?: CartService;
  readonly orders?: OrderService;
  /** The HTTP side, which clients of an order service and peers ask. */
  readonly app?: () => HttpApp;
  /** Ends it in order. */
  readonly stop: () => Promise<void>;
  /** How many requests of clients it is answering. */
  requests: number;
  /** Whether it was told to stop. */
  isStopping: boolean;
}

export interface WorldOptions {
  readonly seed: number;
  readonly partitions: number;
  readonly carts: number;
  readonly orderServices: number;
  readonly standbys: number;
  readonly indexReplicas: number;
  /** Whether nothing happens to processes and disks. */
  readonly isCalm: boolean;
  readonly hasSnapshots: boolean;
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
  readonly storage: SimulatedStorage;
  readonly creates: Creates;
  readonly losses = new Losses();
  readonly troubles = new Troubles();
  readonly applications: Applications;
  readonly peers: PeerNetwork;
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
    this.weather = new Weather(
      this.random,
      (name) => this.instance(name)?.running?.owner.isStopped ?? false,
      (name, topic, records) => this.applications.lookAtAppend(this.instance(name)?.running, topic, records),
    );
    this.broker = new MemoryBroker({
      clock: this.outside,
      newUuid: this.newUuid,
      faults: this.weather,
      latency_ms: () => (this.random() < 0.5 ? 0 : Math.floor(this.random() * 12)),
      session_ms: SESSION_MS,
      request_wait_ms_max: 1_500,
      late_ms: 800,
    });
    this.storage = new SimulatedStorage(this.random, this.topicId);
    this.applications = new Applications(this);
    this.peers = new PeerNetwork(this);
    this.creates = new Creates(this.broker.topics, TOPIC, () => this.scheduler.now_ms);
    this.config = {
      ...CONFIG,
      topic_partitions: options.partitions,
      standbys: options.standbys,
      index_replicas: options.indexReplicas,
    };
    const names = (role: Role, count: number) => Array.from({ length: count }, (_, n) => ({ name: `${role}-${n}`, role }));
    for (const { name, role } of [...names("cart", options.carts), ...names("order-service", options.orderServices)]) {
      const wallClock = { offset_ms: 0 };
      this.instances.push({
        name,
        role,
        disk: new Disk({
          random: this.random,
          newUuid: this.newUuid,
          isSlow: !options.isCalm,
          onCall: (call, side) => this.onStoreCall(call, side),
          onSetAside: (store) => this.#noteSetAside(`${name} sets ${store} aside`),
          topicId: this.#knownTopicId,
          onForeign: (what) => (this.damage ??= new Violation("no-foreign-snapshot", `${name}: ${what}`)),
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

  readonly topicId = (): string | undefined => this.broker.topics.find(TOPIC)?.topicId;

  /** UNHEARD while a process may not have heard yet that there is another one. */
  readonly #knownTopicId = (): string | undefined =>
    this.losses.isRemadeUnheard(this.scheduler.now_ms) ? UNHEARD : this.topicId();

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
    const { random, config } = this;
    const claimState = () => instance.disk.claim(owner);
    const common = { owner, log, owned, isStopping: false, requests: 0 };
    const bounds = {
      ...(this.random() < 0.3 && { unsaved_rows_max: 1 + Math.floor(this.random() * 6) }),
      ...(this.random() < 0.7 && { turn_records_max: 1 }),
    };
    const storage = this.options.hasSnapshots && { storage: this.storage.connect(owner), compression: noCompression };
    const snapshots = storage === false ? undefined : storage;
    const options = { config, bounds, log: owned, claimState, snapshots, logger: silent, clock: owner, random };
    const running: Running =
      instance.role === "cart"
        ? { ...common, ...this.#cart(instance, options, () => running) }
        : { ...common, ...this.#orderService(instance, options, () => running) };
    instance.running = running;
    owner.onEvent = () => this.applications.look(running, instance);
    // Only the service is started: nobody looks at its live figures here.
    (running.cart ?? running.orders)?.start();
    this.trace(`${instance.name} starts`);
  }

  #cart(
    instance: Instance,
    options: Omit<CartRoleOptions, "newUuid">,
    running: () => Running,
  ): Pick<Running, "cart" | "app" | "stop"> {
    const peers = this.options.indexReplicas === 0 ? undefined : this.#peersOf(instance, running);
    const role = cartRole({ ...options, newUuid: this.newUuid, peers });
    return { cart: role.service, app: () => role.app, stop: () => role.stop() };
  }

  #peersOf(instance: Instance, running: () => Running): PeerOptions {
    const transport = this.peers.transportOf(instance.name, running);
    return { secret: "the simulation's", transport, addresses: [], endpoint: endpointOf(instance.name) };
  }

  #orderService(
    instance: Instance,
    options: OrderServiceRoleOptions,
    running: () => Running,
  ): Pick<Running, "orders" | "app" | "stop"> {
    const peers = this.#peersOf(instance, running);
    const page_ids_max = 1 + Math.floor(this.random() * 4);
    const role = orderServiceRole({ ...options, peers, page_ids_max });
    return { orders: role.service, app: () => role.app, stop: () => role.stop() };
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

  /** A store that a deleted head has outrun is set aside for a snapshot. */
  #noteSetAside(what: string): void {
    if (!this.broker.topics.topic(TOPIC).some(({ hiddenBefore }) => hiddenBefore > 0)) this.#noteDamage(what);
  }

  #noteDamage(what: string): void {
    this.damage ??= new Violation("stores-are-whole", what);
  }
}
