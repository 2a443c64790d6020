import { type StoreCall, StoreCrash } from "./file-handles.ts";
import type { DiskFate, FaultStep } from "./plan.ts";
import { asViolation, type Violation } from "../reference/violation.ts";
import { auditStoresOf } from "./audit-stores.ts";
import { Prefixes } from "./prefixes.ts";
import { OF_LETTERS, ofPartition } from "./troubles.ts";
import { DEAD_LETTERS, TOPIC } from "./topic-names.ts";
import { leaderKey } from "./weather.ts";
import type { Instance, World } from "./world.ts";

/** How often a full disk refuses a call; a small write may still find room. */
const FULL_DISK_CHANCE = 0.7;

/** Makes things go wrong in a run, as its steps say. */
export class Faults {
  violation: Violation | undefined;
  #killAtStoreCall: (Extract<FaultStep, { do: "kill-at-store-call" }> & { left: number }) | undefined;

  readonly #prefixes: Prefixes;

  constructor(private readonly world: World) {
    this.#prefixes = new Prefixes(world);
  }

  take(step: FaultStep): void {
    const { world } = this;
    switch (step.do) {
      case "kill":
        this.#killFor(this.#victim(step.victim), step.for_ms, step.disk);
        break;
      case "kill-at-store-call":
        this.#killAtStoreCall = { ...step, left: step.after };
        break;
      case "kill-at-event":
        this.#killAtEvent(this.#victim(step.victim), step);
        break;
      case "restart":
        this.#restart(this.#victim(step.victim), step.for_ms);
        break;
      case "disk-full": {
        const instance = this.#victim(step.victim);
        instance.failingCalls = step.calls;
        this.world.later(step.for_ms, () => (instance.failingCalls = undefined));
        break;
      }
      case "set-clock": {
        const { running, wallClock } = this.#victim(step.victim);
        // Nobody can set the clock of a machine that sleeps.
        if (!running?.owner.isAsleep) wallClock.offset_ms += step.by_ms;
        break;
      }
      case "move-leader":
        this.#moveLeader(step);
        break;
      case "stop":
        this.#stopFor(this.#victim(step.victim), step.asleep, step.for_ms);
        break;
      case "away": {
        const { name } = this.#victim(step.victim);
        world.weather.awayInstances.add(name);
        this.world.later(step.for_ms, () => world.weather.awayInstances.delete(name));
        break;
      }
      case "cut-peers": {
        for (const kind of ["order-service", "cart"]) {
          const services = world.instances.filter(({ role }) => role === kind);
          const at = (share: number) => services[Math.floor(share * services.length)]?.name ?? "";
          world.peers.cut(at(step.from), at(step.to), step.for_ms);
          if (step.isBothWays) world.peers.cut(at(step.to), at(step.from), step.for_ms);
        }
        break;
      }
      case "broker-away":
        for (const { name } of world.instances) world.weather.awayInstances.add(name);
        this.world.later(step.for_ms, () => world.weather.awayInstances.clear());
        break;
      case "bad-appends":
        world.weather.appendFaultChance = step.chance;
        this.world.later(step.for_ms, () => (world.weather.appendFaultChance = 0));
        break;
      case "bad-fetches":
        world.weather.fetchFaultChance = step.chance;
        this.world.later(step.for_ms, () => (world.weather.fetchFaultChance = 0));
        break;
    }
  }

  /** Ends all faults and starts every process that is down. */
  end(): void {
    const { world } = this;
    this.#killAtStoreCall = undefined;
    for (const key of world.weather.leaders.keys()) {
      const [, topic = "", partition = ""] = /^(.*)-(\d+)$/.exec(key) ?? [];
      if (world.broker.topics.topic(topic)[Number(partition)]) world.broker.topics.elect(topic, Number(partition));
    }
    world.weather.clear();
    world.peers.mend();
    world.broker.topics.notify();
    for (const instance of world.instances) {
      instance.failingCalls = undefined;
      const owner = instance.running?.owner;
      if (owner) owner.afterEvent = undefined;
      owner?.resume();
      // Records stamped in the future are refused for as long as the clock is ahead.
      instance.wallClock.offset_ms = 0;
      world.start(instance);
    }
  }

  #victim(share: number): Instance {
    return this.world.instances[Math.floor(share * this.world.instances.length)] as Instance;
  }

  #killFor(instance: Instance, for_ms: number, disk: DiskFate): void {
    if (!instance.running) return;
    this.world.kill(instance);
    if (disk === "torn") instance.disk.cutPower();
    if (disk === "lost") instance.disk.lose();
    // With the disk's last writes the mark may be gone that tells what was answered (decision 23).
    if (disk === "torn" || disk === "lost") this.world.applications.forgetAnswers(instance.name);
    try {
      // What a process finds when it starts again.
      auditStoresOf(this.world, instance, this.#prefixes);
    } catch (e) {
      this.violation ??= asViolation(e);
    }
    this.world.later(for_ms, () => this.world.start(instance));
  }

  /** The process is told to stop, and ends once it has done so. */
  #restart(instance: Instance, for_ms: number): void {
    const { world } = this;
    const { running } = instance;
    if (running === undefined || running.isStopping) return;
    running.isStopping = true;
    const ended = (e?: unknown): void => {
      if (e !== undefined) this.violation ??= asViolation(e);
      if (instance.running !== running) return;
      world.kill(instance);
      world.later(for_ms, () => world.start(instance));
    };
    world.scheduler.at(world.scheduler.now_ms, running.owner, () => void running.stop().then(() => ended(), ended));
  }

  #killAtEvent(instance: Instance, { after, for_ms, disk }: Extract<FaultStep, { do: "kill-at-event" }>): void {
    const owner = instance.running?.owner;
    if (!owner) return;
    let left = after;
    owner.afterEvent = () => {
      if (left-- === 0) this.#killFor(instance, for_ms, disk);
    };
  }

  #moveLeader({ topic, share, lag_records, for_ms }: Extract<FaultStep, { do: "move-leader" }>): void {
    const { world } = this;
    const { topics } = world.broker;
    const { leaders } = world.weather;
    const name = topic === "orders" ? TOPIC : DEAD_LETTERS;
    const partition = Math.floor(share * (topics.topic(name).length || world.options.partitions));
    const key = leaderKey(name, partition);
    const trouble = topic === "orders" ? ofPartition(partition) : OF_LETTERS;
    world.troubles.begin(trouble);
    leaders.set(key, "none");
    topics.notify();
    world.later(for_ms, () => {
      if (!leaders.has(key)) return;
      leaders.set(key, lag_records);
      if (topics.topic(name)[partition]) topics.elect(name, partition);
    });
    world.later(2 * for_ms, () => {
      leaders.delete(key);
      topics.notify();
      world.troubles.end(trouble, world.scheduler.now_ms);
    });
  }

  #stopFor(instance: Instance, asleep: boolean, for_ms: number): void {
    const owner = instance.running?.owner;
    if (!owner || owner.isStopped) return;
    owner.stop(asleep);
    this.world.later(for_ms, () => owner.resume());
  }

  onStoreCall(call: StoreCall, side: "before" | "after"): "fails" | undefined {
    const due = this.#killAtStoreCall;
    const instance = this.world.current;
    if (!instance?.running) return undefined;
    const { failingCalls } = instance;
    const mayFail = side === "before" && (failingCalls === "any" || failingCalls === call);
    if (mayFail && this.world.random() < FULL_DISK_CHANCE) return "fails";
    if (!due || due.call !== call || due.side !== side || due.left-- > 0) return undefined;
    this.#killAtStoreCall = undefined;
    this.#killFor(instance, due.for_ms, due.disk);
    throw new StoreCrash(`killed ${side} a ${call}`);
  }
}
