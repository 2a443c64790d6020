import type { PartitionView } from "../../src/runtime/held-partitions.ts";
import { asViolation, Violation } from "../reference/violation.ts";
import { audit } from "./audit.ts";
import { auditRefusals } from "./audit-refusals.ts";
import { auditStores } from "./audit-stores.ts";
import { Clients } from "./clients.ts";
import { Faults } from "./faults.ts";
import { ForeignPrograms } from "./foreign-programs.ts";
import { Inspections } from "./inspections.ts";
import { type ForeignStep, makePlan, type Plan, type Step } from "./plan.ts";
import type { SnapshotStep } from "./plan-snapshots.ts";
import type { StrikeStep } from "./plan-strikes.ts";
import { Retention } from "./retention.ts";
import { seededRandom } from "./scheduler.ts";
import { Strikes } from "./strikes.ts";
import { DEAD_LETTERS, TOPIC } from "./topic-names.ts";
import { type Running, World } from "./world.ts";

export interface RunResult {
  readonly violation: Violation | undefined;
  readonly steps: number;
  readonly virtual_ms: number;
  /** Equal for runs that are equal down to every byte of every record's value in the log. */
  readonly fingerprint: string;
}

/** Keeps the plan's randomness apart from the run's, so that a shortened plan meets the same world. */
const PLAN_SALT = 0x5bd1e995;

export const planOf = (seed: number): Plan => makePlan(seededRandom(seed ^ PLAN_SALT));

const REST_MS_MAX = 90_000;
/** By then, whatever was sent before the last fault ended has reached the log, or never will. */
const LANDED_MS = 3_000;
/** A second until a saving is due, one until a store that failed is tried again, and the time of slow disks. */
const SAVED_MS_MAX = 6_000;

export function simulate(seed: number, plan: Plan, trace: (line: string) => void = () => undefined): RunResult {
  const world = new World({ ...plan, seed, trace });
  let violation: Violation | undefined;
  try {
    new Run(world, plan.steps, plan.isCalm).play();
  } catch (e) {
    violation = asViolation(e);
  }
  world.end();
  const { steps, elapsed_ms } = world.scheduler;
  return { violation, steps, virtual_ms: elapsed_ms, fingerprint: fingerprintOf(world) };
}

function fingerprintOf({ broker, scheduler }: World): string {
  const hasher = new Bun.CryptoHasher("sha256");
  for (const topic of [TOPIC, DEAD_LETTERS])
    for (const { entries } of broker.topics.topic(topic)) for (const entry of entries) hasher.update(entry?.value ?? "-");
  return hasher.update(`${scheduler.steps} ${scheduler.now_ms}`).digest("hex").slice(0, 16);
}

const FOREIGN: readonly Step["do"][] = ["foreign-update", "poison", "replay", "add-partitions"] satisfies ForeignStep["do"][];
const isForeign = (step: Step): step is ForeignStep => FOREIGN.includes(step.do);
const STRIKES: readonly Step["do"][] = [
  "lose-records",
  "lose-unapplied",
  "remake-topic",
  "deny",
  "shrink-batches",
  "small-letters",
  "transaction",
  "undecodable",
  "forge-letters",
] satisfies StrikeStep["do"][];
const OF_SNAPSHOTS: readonly Step["do"][] = [
  "delete-head",
  "damage-snapshot",
  "storage-away",
  "bad-storage",
] satisfies SnapshotStep["do"][];
const isOfSnapshots = (step: Step): step is SnapshotStep => OF_SNAPSHOTS.includes(step.do);
const isStrike = (step: Step): step is StrikeStep => STRIKES.includes(step.do);

class Run {
  readonly #clients: Clients;
  readonly #foreign: ForeignPrograms;
  readonly #faults: Faults;
  readonly #strikes: Strikes;
  readonly #inspections: Inspections;
  readonly #retention: Retention;

  constructor(
    private readonly world: World,
    private readonly steps: readonly Step[],
    private readonly isCalm: boolean,
  ) {
    this.#clients = new Clients(world, isCalm);
    this.#foreign = new ForeignPrograms(world);
    this.#strikes = new Strikes(world, isCalm);
    this.#faults = new Faults(world);
    this.#inspections = new Inspections(world);
    this.#retention = new Retention(world);
  }

  play(): void {
    const { world } = this;
    world.onStoreCall = (call, side) => this.#faults.onStoreCall(call, side);
    for (const instance of world.instances) world.start(instance);
    const start_ms = world.scheduler.now_ms;
    for (const step of this.steps) {
      this.#runUntil(start_ms + step.at_ms);
      this.#take(step);
    }
    this.#untilAnswered();
    this.#runUntil(this.#strikes.transactionsUntil_ms);
    this.#comeToRest();
    if (!world.losses.isEmpty) {
      this.#clients.askLast();
      this.#untilAnswered();
      this.#comeToRest();
    }
    audit(world, this.#clients.claims, this.#clients.lastClaims);
    auditRefusals(world, this.#clients.refused);
    auditStores(world);
  }

  /** Once nothing fails and nothing arrives, everything applied is saved soon. Half of the runs end before that. */
  #requireSaved(): void {
    const { world } = this;
    if (world.random() < 0.5) return;
    const applied = world.instances.map(({ running }) => new Map(actorsOf(running).map((actor) => [actor, actor.nextOffset])));
    this.#runUntil(world.scheduler.now_ms + SAVED_MS_MAX);
    for (const [n, { name, running, disk }] of world.instances.entries()) {
      const saved = new Map<number, number>();
      for (const [, { db }] of disk.stores()) {
        const positions = db.query("SELECT partition, next_offset FROM position").values() as [number, number][];
        for (const [partition, nextOffset] of positions) saved.set(partition, nextOffset);
      }
      for (const actor of actorsOf(running)) {
        const { partition, state } = actor;
        // What was applied since then may not be saved yet.
        const expected = applied[n]?.get(actor);
        if (state === "running" && expected !== undefined && (saved.get(partition) ?? -1) < expected)
          throw new Violation(
            "saved-in-time",
            `${name} has saved partition ${partition} up to ${saved.get(partition)}, and applied it up to ${expected}`,
          );
      }
    }
  }

  #untilAnswered(): void {
    const open = () => this.#clients.open + this.#clients.queries.open;
    this.#runUntil(this.world.scheduler.now_ms + REST_MS_MAX, () => open() === 0);
    if (open() > 0) throw new Violation("bounded-waits", `${open()} clients still wait for an answer`);
  }

  #runUntil(until_ms: number, isOver: () => boolean = () => false): void {
    const { world } = this;
    const violation = () =>
      this.#clients.violation ??
      this.#clients.queries.violation ??
      this.#faults.violation ??
      this.#inspections.violation ??
      world.applications.violation ??
      world.peers.violation ??
      this.#strikes.violation ??
      world.storage.violation ??
      world.damage;
    world.scheduler.run(until_ms, () => violation() !== undefined || isOver());
    const found = violation();
    if (found) throw found;
  }

  #take(step: Step): void {
    if (step.do === "create" || step.do === "update") return void this.#clients.request(step);
    if (step.do === "reuse-key") return void this.#clients.reuseKey(step);
    if (step.do === "look") return void this.#clients.queries.look(`ORD-${step.order}`);
    if (step.do === "events") return void this.#clients.queries.lookAtEvents(`ORD-${step.order}`);
    if (step.do === "list") return void this.#clients.queries.list();
    if (step.do === "inspect") return this.#inspections.inspect(step.share);
    this.world.trace(JSON.stringify(step, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value)));
    if (isForeign(step)) this.#foreign.take(step);
    else if (isStrike(step)) this.#strikes.take(step);
    else if (isOfSnapshots(step)) this.#retention.take(step);
    else this.#faults.take(step);
    // The check runs right before the partition has a leader again.
    if (this.isCalm && step.do === "move-leader") this.world.later(step.for_ms - 1, () => this.#clients.queries.requireRunning());
  }

  /**
   * Ends all faults and starts everybody. Then everything must be applied within a bounded time, except by partitions
   * that have applied what the log has lost: they halt, and say so.
   */
  #comeToRest(): void {
    const { world } = this;
    this.#strikes.end();
    this.#retention.end();
    this.#faults.end();
    const ends = () => world.broker.topics.topic(TOPIC).map(({ entries }) => entries.length);
    const standbys = () => ends().length * Math.min(world.config.standbys, world.options.orderServices - 1);
    const isApplied = () => {
      const isAtEnd = ({ partition, nextOffset, state, halted, doubt, hindered }: PartitionView) =>
        state === "halted"
          ? world.losses.firstLostOffset(partition) < Number.POSITIVE_INFINITY && halted !== undefined
          : state === "running" && nextOffset === ends()[partition] && doubt === undefined && hindered === undefined;
      // The owner has halted, and what it had committed is not what the log has.
      const isWithoutOwner = ({ partition, hindered }: PartitionView) =>
        hindered !== undefined && world.losses.firstLostOffset(partition) < Number.POSITIVE_INFINITY;
      const owned = world.running("order-service").flatMap(({ orders }) => [...(orders?.partitions.held() ?? [])]);
      const indexed = world.running("cart").map(({ cart }) => [...(cart?.partitions.held() ?? [])]);
      const copies = world.options.indexReplicas === 0 ? indexed.length : Math.min(world.options.indexReplicas, indexed.length);
      const copiesOf = (partition: number) => indexed.flat().filter((one) => one.partition === partition).length;
      const followed = world.running("order-service").flatMap(({ orders }) => [...(orders?.partitions.standbys() ?? [])]);
      const isAnyHalted = indexed.flat().some(({ state }) => state === "halted");
      const isAll =
        owned.length === ends().length &&
        [...owned, ...indexed.flat()].every(isAtEnd) &&
        // Where a cart's index has halted, partitions stay where they are.
        ends().every((_, partition) => copiesOf(partition) === copies || (copiesOf(partition) > 0 && isAnyHalted));
      return (
        isAll &&
        ends().length > 0 &&
        followed.every((one) => isAtEnd(one) || isWithoutOwner(one)) &&
        // Where a standby has halted, or waits for an owner that has, the partition that it was to have stays where it is,
        // and it follows.
        (followed.length === standbys() || followed.some((one) => one.state === "halted" || isWithoutOwner(one)))
      );
    };
    this.#runUntil(world.scheduler.now_ms + LANDED_MS);
    this.#runUntil(world.scheduler.now_ms + REST_MS_MAX, isApplied);
    if (isApplied()) return this.#requireSaved();
    const held = [...world.running("cart"), ...world.running("order-service")].map(({ cart, orders, owner }) => {
      const service = cart ?? orders;
      const partitions = [...(cart?.partitions.held() ?? orders?.partitions.actors.values() ?? [])].map(
        ({ partition, state, nextOffset, halted, hindered, doubt }) =>
          `${orders?.partitions.actors.get(partition)?.duty ?? ""} ${partition} ${state} at ${nextOffset} ${halted ?? hindered ?? doubt ?? ""}`,
      );
      return `${owner.name} (${service?.partitions.membership}): ${partitions.join(", ")}`;
    });
    throw new Violation("comes-to-rest", `${REST_MS_MAX} ms after the last fault: ends ${ends().join()}; ${held.join("; ")}`);
  }
}

/** The partitions that a process holds or follows. */
const actorsOf = (running: Running | undefined): readonly PartitionView[] => [
  ...(running?.cart?.partitions.held() ?? running?.orders?.partitions.actors.values() ?? []),
];
