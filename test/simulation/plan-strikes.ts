import type { Status } from "../../src/orders/order.ts";
import type { Step } from "./plan.ts";

interface At {
  readonly at_ms: number;
}

/** What happens to the log itself, or what strangers leave in it. `share` picks a partition. */
export type StrikeStep = At &
  (
    | {
        /**
         * The partition's new leader lacks the last records: it was not in sync, or had not written them to its disk.
         */
        readonly do: "lose-records";
        readonly share: number;
        readonly lost_records: number;
        /**
         * How many records of another program are there at once, so that the partition's end does not show the loss.
         */
        readonly regrown_records: number;
      }
    /**
     * The partition loses what holds no record that anybody applied: a batch that cannot be decoded, or otherwise an
     * aborted transaction.
     */
    | {
        readonly do: "lose-unapplied";
        readonly share: number;
        readonly count: number;
        readonly isUndecodable: boolean;
        readonly regrown_records: number;
        /** How long it stays there until it is lost. */
        readonly for_ms: number;
      }
    /** The topic is deleted and created again under its name. */
    | {
        readonly do: "remake-topic";
        readonly topic: "orders" | "dead-letters";
        readonly regrown_records: number;
        readonly for_ms: number;
      }
    /** Nobody has the right to append to the topic. */
    | { readonly do: "deny"; readonly topic: "orders" | "dead-letters"; readonly for_ms: number }
    /** The topic takes no batches larger than `bytes`. */
    | {
        readonly do: "shrink-batches";
        readonly topic: "orders" | "dead-letters";
        readonly bytes: number;
        readonly for_ms: number;
      }
    /** The dead-letter topic was created by hand and never takes batches larger than `bytes`. */
    | { readonly do: "small-letters"; readonly bytes: number }
    /** Another program opens a transaction. */
    | {
        readonly do: "transaction";
        readonly order: number;
        readonly status: Status;
        readonly count: number;
        readonly isCommitted: boolean;
        readonly for_ms: number;
      }
    /** A batch of `count` records that nobody can decode arrives. */
    | { readonly do: "undecodable"; readonly share: number; readonly count: number }
    /** Dead letters that no process here wrote arrive, about `count` offsets from `offset` on. */
    | { readonly do: "forge-letters"; readonly share: number; readonly offset: number; readonly count: number }
  );

export interface StrikeChances {
  readonly random: () => number;
  readonly upTo: (n: number) => number;
  readonly chance: (p: number) => boolean;
  readonly at: () => number;
  readonly orders: number;
  readonly status: () => Status;
}

type PlanStep = Exclude<Step, { readonly do: "inspect" | "reuse-key" }>;

/** Long enough for orders that are not concerned to be asked for, and to show that they are not. */
const CALM_MS_MIN = 2_500;
/** The first of some orders that are created while nothing can be appended to a topic. */
const STRUCK_ORDER = 30;
/** Longer than a partition may stand still without a reason. */
const LONG_TRANSACTION_MS = 45_000;

/** Strikes after which everything acknowledged is still there, each with the records that it is meant to meet. */
export function harmlessStrikes(chances: StrikeChances): (() => PlanStep[])[] {
  const { random, upTo, chance, at, orders, status } = chances;
  const topic = () => (chance(0.5) ? "orders" : "dead-letters");
  const lasting = () => CALM_MS_MIN + upTo(4_000);
  const poison = (at_ms: number): PlanStep => ({ at_ms, do: "poison", order: upTo(orders), bytes: chance(0.3) ? 2_000 : 0 });
  /** What arrives while the strike lasts, and right after it. */
  const during = (at_ms: number, for_ms: number, ...steps: readonly ((at_ms: number) => PlanStep)[]): PlanStep[] =>
    steps.flatMap((step) => Array.from({ length: 1 + upTo(3) }, () => step(at_ms + upTo(for_ms + 200))));
  return [
    () => {
      const [at_ms, for_ms] = [chance(0.7) ? 0 : at(), lasting()];
      const topicMoved = chance(0.85) ? "orders" : "dead-letters";
      const moved = { at_ms, do: "move-leader", topic: topicMoved, share: random(), lag_records: 1 + upTo(4), for_ms } as const;
      return [moved, ...during(at_ms, for_ms, poison)];
    },
    () => {
      const [at_ms, for_ms] = [at(), lasting()];
      // Orders whose partition waits with poison before them are created, and asked for when they are old enough.
      const struck = [0, 1, 2].flatMap((n): PlanStep[] => {
        const [order, created_ms] = [STRUCK_ORDER + n, at_ms + upTo(for_ms - 2_000)];
        return [
          { at_ms: created_ms, do: "poison", order },
          { at_ms: created_ms + 20, do: "create", order, keyed: false },
          { at_ms: created_ms + 1_700 + upTo(400), do: "look", order },
        ];
      });
      return [{ at_ms, do: "deny", topic: topic(), for_ms }, ...during(at_ms, for_ms, poison), ...struck];
    },
    () => {
      const [at_ms, for_ms] = [at(), lasting()];
      // Several creates at once go out together, and one of them is too large.
      const racing: PlanStep[] = [];
      for (let n = 2; n > 0; n--) {
        const raced_ms = at_ms + upTo(for_ms);
        for (let racers = 4; racers > 0; racers--)
          racing.push({ at_ms: raced_ms, do: "create", order: 20 + upTo(100), keyed: false, isLarge: racers === 1 });
      }
      return [{ at_ms, do: "shrink-batches", topic: "orders", bytes: 1_400 + upTo(1_000), for_ms }, ...racing];
    },
    () => {
      const [at_ms, for_ms] = [at(), lasting()];
      const shrunk = { at_ms, do: "shrink-batches", topic: "dead-letters", bytes: 300 + upTo(1_200), for_ms } as const;
      return [shrunk, ...during(at_ms, for_ms, poison, poison)];
    },
    () => [
      { at_ms: 0, do: "small-letters", bytes: 1_500 },
      { ...poison(at()), bytes: 2_000 } as PlanStep,
      ...during(at(), 100, poison, poison),
    ],
    () => {
      const [at_ms, for_ms] = [at(), chance(0.1) ? LONG_TRANSACTION_MS : lasting()];
      const begun = { do: "transaction", order: upTo(orders), status: status(), isCommitted: chance(0.5) } as const;
      return [{ at_ms, ...begun, count: 1 + upTo(4), for_ms }];
    },
    () => Array.from({ length: 1 + upTo(3) }, () => ({ at_ms: at(), do: "undecodable", share: random(), count: 1 + upTo(5) })),
    () => {
      const [at_ms, share] = [at(), random()];
      const forged = { at_ms, do: "forge-letters", share, offset: chance(0.3) ? 1_000_000 : upTo(20), count: 10 } as const;
      return [forged, ...during(at_ms, 2_000, poison, poison, poison)];
    },
    () => {
      const [at_ms, for_ms] = [at(), upTo(1_500)];
      const remade = { at_ms, do: "remake-topic", topic: "dead-letters", regrown_records: 0, for_ms } as const;
      return [poison(Math.max(0, at_ms - 500)), remade, ...during(at_ms, for_ms + 500, poison)];
    },
  ];
}

/** Strikes that lose records that were acknowledged. */
export function lossyStrikes({ random, upTo, chance, at, orders, status }: StrikeChances): (() => PlanStep[])[] {
  const lost = (at_ms: number, lost_records: number, regrown_records: number): PlanStep => {
    return { at_ms, do: "lose-records", share: random(), lost_records, regrown_records };
  };
  return [
    // Afterwards the partition is shorter than before, as long, or longer.
    () => {
      const lost_records = 1 + upTo(4);
      return [lost(at(), lost_records, chance(0.3) ? 0 : Math.max(0, lost_records - 1 + upTo(4)))];
    },
    // What is lost comes after the last record applied, so that record is still there.
    () => {
      const [count, isUndecodable] = [1 + upTo(4), chance(0.3)];
      const unapplied = {
        do: "lose-unapplied",
        share: random(),
        count,
        isUndecodable,
        regrown_records: count + upTo(4),
      } as const;
      return [{ at_ms: chance(0.3) ? upTo(500) : at(), ...unapplied, for_ms: 50 + upTo(300) }];
    },
    // Before a cart has noticed the loss, the same orders are created through several carts.
    () => {
      const at_ms = at();
      const racing = [0, 1, 2, 3].map((n): PlanStep => ({
        at_ms: at_ms + upTo(25),
        do: "create",
        order: 200 + (n >> 1),
        keyed: false,
        isLarge: false,
      }));
      return [lost(at_ms, 2 + upTo(4), 0), ...racing];
    },
    // An order service is killed before it has saved what it answered from, and the log loses some of that while it is
    // down. The last instances are order services.
    () => {
      const [at_ms, count] = [at(), 2 + upTo(4)];
      const [killed_ms, lost_records] = [at_ms + 100 + upTo(500), 1 + upTo(3)];
      return [
        { at_ms, do: "foreign-update", order: upTo(orders), status: status(), count },
        { at_ms: killed_ms, do: "kill", victim: 0.999 - random() / 2, disk: "kept", for_ms: 200 + upTo(300) },
        lost(killed_ms + 50, lost_records, lost_records + upTo(3)),
      ];
    },
    // A cart and another process are reading towards an end that is lost before they get there.
    () => {
      const at_ms = at();
      const killed = [0, random()].map((victim): PlanStep => ({
        at_ms: at_ms + 10,
        do: "kill",
        victim,
        disk: "lost",
        for_ms: 50,
      }));
      return [
        { at_ms, do: "foreign-update", order: upTo(orders), status: status(), count: 20 + upTo(20) },
        { at_ms, do: "bad-fetches", chance: 0.9, for_ms: 1_000 },
        ...killed,
        lost(at_ms + 80 + upTo(300), 5 + upTo(10), 0),
      ];
    },
    // Processes are killed before they have saved what they answered from, and while they are away other records take
    // that place.
    () => {
      const [at_ms, lost_records] = [at(), 2 + upTo(4)];
      const killed_ms = at_ms + 150 + upTo(150);
      const killed = [0.5, 0.7, 0.9].map((victim): PlanStep => ({
        at_ms: killed_ms,
        do: "kill",
        victim,
        disk: "kept",
        for_ms: 300 + upTo(300),
      }));
      return [
        { at_ms, do: "foreign-update", order: upTo(orders), status: status(), count: lost_records },
        ...killed,
        lost(killed_ms + upTo(60), lost_records, lost_records + upTo(3)),
      ];
    },
    () => [
      { at_ms: at(), do: "remake-topic", topic: "orders", regrown_records: upTo(12), for_ms: chance(0.5) ? 0 : upTo(3_000) },
    ],
  ];
}
