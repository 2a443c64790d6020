import type { FaultStep } from "./plan.ts";
import { Violation } from "../reference/violation.ts";
import { OF_LETTERS, ofPartition } from "./troubles.ts";
import { CommitCrash, DEAD_LETTERS, type Instance, leaderKey, TOPIC, type World } from "./world.ts";

/** Makes things go wrong in a run, as its steps say. */
export class Faults {
  violation: Violation | undefined;
  #killAtCommit: (Extract<FaultStep, { do: "kill-at-commit" }> & { left: number }) | undefined;

  /** `isTorn` says whether older states of the disks are needed; keeping them takes a tenth of a run. */
  constructor(
    private readonly world: World,
    private readonly isTorn: boolean,
  ) {}

  take(step: FaultStep): void {
    const { world } = this;
    switch (step.do) {
      case "kill":
        this.#killFor(this.#victim(step.victim), step.for_ms, step.disk);
        break;
      case "kill-at-commit":
        this.#killAtCommit = { ...step, left: step.after };
        break;
      case "kill-at-event":
        this.#killAtEvent(this.#victim(step.victim), step.after, step.for_ms);
        break;
      case "disk-full": {
        const instance = this.#victim(step.victim);
        instance.isDiskFull = true;
        this.world.later(step.for_ms, () => (instance.isDiskFull = false));
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
    this.#killAtCommit = undefined;
    for (const key of world.weather.leaders.keys()) {
      const [, topic = "", partition = ""] = /^(.*)-(\d+)$/.exec(key) ?? [];
      if (world.broker.topics.topic(topic)[Number(partition)]) world.broker.topics.elect(topic, Number(partition));
    }
    world.weather.clear();
    world.broker.topics.notify();
    for (const instance of world.instances) {
      instance.isDiskFull = false;
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

  #killFor(instance: Instance, for_ms: number, disk: "kept" | "torn" | "lost"): void {
    if (!instance.running) return;
    this.world.kill(instance);
    if (disk === "torn") instance.disk.tear();
    if (disk === "lost") instance.disk.lose();
    this.world.later(for_ms, () => this.world.start(instance));
  }

  #killAtEvent(instance: Instance, after: number, for_ms: number): void {
    const owner = instance.running?.owner;
    if (!owner) return;
    let left = after;
    owner.afterEvent = () => {
      if (left-- === 0) this.#killFor(instance, for_ms, "kept");
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

  onCommit(side: "before" | "after", partition: number | undefined): "disk-full" | undefined {
    const due = this.#killAtCommit;
    const instance = this.world.current;
    if (this.world.random() < 0.05 && this.isTorn) for (const { disk } of this.world.instances) disk.remember();
    if (!instance?.running) return undefined;
    if (side === "before" && partition !== undefined && !instance.running.log.isOwnerByGroup(partition))
      this.violation ??= new Violation(
        "no-zombie-commit",
        `${instance.name} commits partition ${partition}, which the group took from it`,
      );
    if (side === "before" && instance.isDiskFull) return "disk-full";
    if (!due || due.side !== side || due.left-- > 0) return undefined;
    this.#killAtCommit = undefined;
    this.#killFor(instance, due.for_ms, "kept");
    throw new CommitCrash(`killed ${side} a commit`);
  }
}
