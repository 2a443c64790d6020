import type { Status } from "../../src/orders/order.ts";
import type { FailingCalls, StoreCall } from "./file-handles.ts";
import { faults } from "./plan-faults.ts";
import { missedUpdates } from "./plan-reads.ts";
import { type SnapshotStep, snapshotSteps } from "./plan-snapshots.ts";
import { harmlessStrikes, lossyStrikes, type StrikeStep } from "./plan-strikes.ts";
import { pick } from "../support/random.ts";

const STATUSES = ["new", "pending", "confirmed", "processing", "shipped", "cancelled"] as const satisfies readonly Status[];

/** Nanoseconds and microseconds since the Unix epoch, no time at all, and the ends of what 64 bits hold. */
const STRANGE_TIMESTAMPS = [1_767_225_600_123_456_789n, 1_767_225_600_123_456n, -1n, 2n ** 63n - 1n, -(2n ** 63n)];

/** Odd texts in a customer's id: some are taken, and some are refused. */
const ODD_TEXTS = ["é 注文 🧾", "\ud83d", "\udca9!", "\ufeff", "\t", '"\\'];

interface At {
  readonly at_ms: number;
}

export type RequestStep = At &
  (
    | {
        readonly do: "create";
        readonly order: number;
        readonly keyed: boolean;
        readonly isLarge?: boolean;
        readonly oddText?: string;
      }
    | { readonly do: "update"; readonly order: number; readonly status: Status; readonly keyed: boolean }
  );

/** Another request under the key of one that was answered 200. */
export type ReuseKeyStep = At & {
  readonly do: "reuse-key";
  readonly order: number;
  readonly status: Status;
  readonly share: number;
};

/** A question to an order service: about one order, its events, or all ids. */
type QueryStep =
  | (At & { readonly do: "look"; readonly order: number })
  | (At & { readonly do: "events"; readonly order: number })
  | (At & { readonly do: "list" });

/** A look at what an order service would answer from; `share` picks a partition that is held. */
type InspectStep = At & { readonly do: "inspect"; readonly share: number };

/** Other programs' records, straight into the log. */
export type ForeignStep = At &
  (
    | {
        readonly do: "foreign-update";
        readonly order: number;
        readonly status: Status;
        readonly count: number;
        /** The record's timestamp, in whatever unit the program uses. */
        readonly timestamp?: bigint;
      }
    /** A record that is not an event, padded to `bytes`. */
    | { readonly do: "poison"; readonly order: number; readonly bytes?: number }
    /** Some records of a partition are written once more, as a replay onto the live topic does. */
    | { readonly do: "replay"; readonly share: number; readonly count: number }
    | { readonly do: "add-partitions"; readonly count: number }
  );

/**
 * What becomes of the disk of a process that is killed: a power cut takes some of what was not synced, and a lost disk is
 * replaced by an empty one.
 */
export type DiskFate = "kept" | "torn" | "lost";

export type FaultStep = At &
  (
    | { readonly do: "kill"; readonly victim: number; readonly disk: DiskFate; readonly for_ms: number }
    /** A process is killed at one of the next commits, writes or syncs of any process's stores, before or after it. */
    | {
        readonly do: "kill-at-store-call";
        readonly call: StoreCall;
        readonly after: number;
        readonly side: "before" | "after";
        readonly disk: DiskFate;
        readonly for_ms: number;
      }
    /** A process is stopped in order, and started again. */
    | { readonly do: "restart"; readonly victim: number; readonly for_ms: number }
    /** A process is killed after `after` more of its events. An event runs its code until all of it waits. */
    | {
        readonly do: "kill-at-event";
        readonly victim: number;
        readonly after: number;
        readonly disk: DiskFate;
        readonly for_ms: number;
      }
    | { readonly do: "disk-full"; readonly victim: number; readonly calls: FailingCalls; readonly for_ms: number }
    | { readonly do: "set-clock"; readonly victim: number; readonly by_ms: number }
    /**
     * Nobody leads the partition for a while; then, for as long again, it has a leader whose high watermark lags by
     * `lag_records`.
     */
    | {
        readonly do: "move-leader";
        readonly topic: "orders" | "dead-letters";
        readonly share: number;
        readonly lag_records: number;
        readonly for_ms: number;
      }
    /** A process stands still: either its machine sleeps, and the monotonic clock with it, or it is stopped alone. */
    | { readonly do: "stop"; readonly victim: number; readonly asleep: boolean; readonly for_ms: number }
    | { readonly do: "away"; readonly victim: number; readonly for_ms: number }
    /** One order service and one cart do not get through to another of their kind; `isBothWays`: nor back. */
    | {
        readonly do: "cut-peers";
        readonly from: number;
        readonly to: number;
        readonly isBothWays: boolean;
        readonly for_ms: number;
      }
    | { readonly do: "broker-away"; readonly for_ms: number }
    | { readonly do: "bad-appends"; readonly chance: number; readonly for_ms: number }
    | { readonly do: "bad-fetches"; readonly chance: number; readonly for_ms: number }
  );

/**
 * What is done to the system, and when. A plan is made from the seed alone, so that parts of it can be left out to
 * shorten a failure.
 */
export type Step = RequestStep | ReuseKeyStep | QueryStep | InspectStep | ForeignStep | FaultStep | StrikeStep | SnapshotStep;

export interface Plan {
  readonly partitions: number;
  readonly carts: number;
  readonly orderServices: number;
  /** How many order services follow each partition without owning it. */
  readonly standbys: number;
  /** How many carts have the index of each partition; 0: each cart has all. */
  readonly indexReplicas: number;
  /** Whether no process, disk, clock or connection fails, so that whatever is not struck works throughout. */
  readonly isCalm: boolean;
  /** Whether snapshots are taken, and stores made of them. */
  readonly hasSnapshots: boolean;
  readonly steps: readonly Step[];
}

/** The longest is long enough for sessions to end; most of what goes wrong shows within less. */
const LENGTHS_MS = [3_000, 3_000, 8_000];

/** How many of the worlds have snapshots. */
const SNAPSHOTS_SHARE = 0.4;
const INSPECTIONS = 12;
const OF_CLIENTS: readonly Step["do"][] = ["create", "update", "foreign-update", "look", "events", "list", "inspect"];
const isOfClients = (step: Step): boolean => OF_CLIENTS.includes(step.do);
const BURST_ORDER = 40;
/** A number of 16 digits, added to an order's. */
const LONG_ORDER = 1_000_000_000_000_000;

export function makePlan(random: () => number): Plan {
  const upTo = (n: number) => Math.floor(random() * n);
  const chance = (p: number) => random() < p;
  const length_ms = pick(random, LENGTHS_MS);
  const at = () => upTo(length_ms);
  const orders = 3 + upTo(10);
  /** Some runs have orders whose ids are too long to have a key. */
  const longShare = chance(0.2) ? random() : 0;
  const anOrder = () => upTo(orders) + (chance(longShare) ? LONG_ORDER : 0);
  const steps: Step[] = [];
  const keyedShare = random();
  const isCalm = chance(0.15);
  const strikes = { random, upTo, chance, at, orders, status: () => pick(random, STATUSES) };

  for (let n = 15 + upTo(30); n > 0; n--) {
    const order = anOrder();
    const keyed = chance(keyedShare);
    const at_ms = at();
    if (chance(0.5)) {
      // Half of these race: the same new order from several clients at once, or as soon as it may be answered.
      const gap_ms = chance(0.5) ? 5 : 60;
      for (let racers = chance(0.5) ? 2 + upTo(2) : 1; racers > 0; racers--)
        steps.push({
          at_ms: at_ms + upTo(gap_ms),
          do: "create",
          order,
          keyed,
          ...(chance(0.05) ? { oddText: pick(random, ODD_TEXTS) } : {}),
        });
    } else {
      steps.push({ at_ms, do: "update", order, status: pick(random, STATUSES), keyed });
    }
  }
  for (let n = upTo(6); n > 0; n--) {
    const count = chance(0.05) ? 105 : 1 + upTo(4);
    const timestamp = chance(0.2) ? { timestamp: pick(random, STRANGE_TIMESTAMPS) } : {};
    steps.push({ at_ms: at(), do: "foreign-update", order: anOrder(), status: pick(random, STATUSES), count, ...timestamp });
  }
  if (chance(0.4)) for (let n = 1 + upTo(3); n > 0; n--) steps.push({ at_ms: at(), do: "poison", order: upTo(orders) });
  if (chance(keyedShare * 0.5))
    for (let n = 1 + upTo(3); n > 0; n--)
      steps.push({ at_ms: at(), do: "reuse-key", order: upTo(orders), status: pick(random, STATUSES), share: random() });
  if (chance(0.15)) {
    // New orders are created and asked for so fast that no cart has read them back yet.
    const at_ms = at();
    for (let n = 12; n > 0; n--) {
      const asked = { at_ms: at_ms + upTo(40), order: BURST_ORDER + upTo(3), keyed: false };
      steps.push(chance(0.7) ? { ...asked, do: "create" } : { ...asked, do: "update", status: pick(random, STATUSES) });
    }
  }
  if (chance(0.3)) steps.push({ at_ms: at(), do: "replay", share: random(), count: 1 + upTo(10) });

  for (let n = INSPECTIONS; n > 0; n--) steps.push({ at_ms: at(), do: "inspect", share: random() });

  // A run does not have every kind of fault: some bugs show only while most things go well.
  const chosen: readonly (() => Step | Step[])[] = isCalm ? harmlessStrikes(strikes) : faults(strikes).filter(() => chance(0.4));
  for (let n = chosen.length === 0 ? 0 : isCalm ? 1 + upTo(4) : upTo(7); n > 0; n--)
    steps.push(...[pick(random, chosen)()].flat());
  if (!isCalm && chance(0.08)) steps.push(...pick(random, harmlessStrikes(strikes))());
  if (!isCalm && chance(0.2)) steps.push(...pick(random, lossyStrikes(strikes))());
  for (let n = isCalm ? 15 : 8; n > 0; n--) steps.push({ at_ms: at(), do: "look", order: upTo(orders) });
  for (let n = 4; n > 0; n--) steps.push({ at_ms: at(), do: "list" });
  for (let n = 2; n > 0; n--) steps.push({ at_ms: at(), do: "events", order: upTo(orders) });
  if (!isCalm && chance(0.35)) {
    const at_ms = at();
    steps.push({ at_ms, do: "add-partitions", count: 1 + upTo(3) });
    const [stopped_ms, for_ms] = [Math.max(0, at_ms - upTo(300)), 1_000 + upTo(1_500)];
    const isOneStopped = chance(0.6);
    if (isOneStopped) {
      // One cart may believe that the wait is over, and another has stood still since before. The first instances are
      // carts.
      steps.push({ at_ms: at_ms + upTo(1_200), do: "set-clock", victim: random() / 2, by_ms: 6_000 + upTo(60_000) });
      steps.push({ at_ms: stopped_ms, do: "stop", victim: random() / 2, asleep: false, for_ms });
    }
    // New orders come from several clients just then: some carts know of the added partitions, and some do not, such as
    // one that has just gone on.
    for (let order = orders; order < orders + 6; order++) {
      const raced_ms = isOneStopped && chance(0.5) ? stopped_ms + for_ms - 40 + upTo(60) : at_ms + upTo(2_500);
      for (let racers = 3; racers > 0; racers--) steps.push({ at_ms: raced_ms + upTo(60), do: "create", order, keyed: false });
    }
  }

  const world = {
    partitions: 1 + upTo(3),
    carts: chance(0.3) ? 1 : 1 + upTo(4),
    orderServices: isCalm && chance(0.5) ? 1 : 1 + upTo(4),
    isCalm,
  };
  const hasSnapshots = chance(SNAPSHOTS_SHARE);
  if (hasSnapshots && !isCalm) steps.push(...snapshotSteps(random, length_ms));
  const standbys = chance(0.5) ? 1 + upTo(2) : 0;
  const indexReplicas = chance(0.5) ? 1 + upTo(2) : 0;
  // What is told while one owner is away shows best where nobody else is.
  const isOneAway = !isCalm && chance(0.12);
  const all = isOneAway ? [...steps.filter(isOfClients), ...missedUpdates(random)] : steps;
  return { ...world, hasSnapshots, standbys, indexReplicas, steps: all.toSorted((a, b) => a.at_ms - b.at_ms) };
}
