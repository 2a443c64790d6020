import { pick } from "../support/random.ts";
import type { Step } from "./plan.ts";
import type { StrikeChances } from "./plan-strikes.ts";

/** The first of some orders that are created while an order service misses it. */
const MISSED_ORDER = 60;

/** What may go wrong with processes, disks, clocks, connections and leaders. */
export function faults(chances: StrikeChances): (() => Step | Step[])[] {
  const { random, upTo, chance, at, orders, status } = chances;
  const lasting = () => 50 + upTo(chance(0.3) ? 6_000 : 800);
  /** A jump of the clock, from a second to hours, back or forward. */
  const jump = () => (chance(0.5) ? -1 : 1) * Math.floor(1_000 * 10 ** (random() * 4));
  const failingCalls = () => pick(random, ["any", "any", "commit", "sync"] as const);
  return [
    () => ({
      at_ms: at(),
      do: "kill",
      victim: random(),
      disk: pick(random, ["kept", "kept", "torn", "torn", "lost"] as const),
      for_ms: lasting(),
    }),
    () => ({
      at_ms: at(),
      do: "kill-at-store-call",
      call: pick(random, ["commit", "write", "sync"] as const),
      after: upTo(8),
      disk: pick(random, ["kept", "torn"] as const),
      side: pick(random, ["before", "after"] as const),
      for_ms: lasting(),
    }),
    () => ({
      at_ms: at(),
      do: "kill-at-event",
      victim: random(),
      after: upTo(120),
      disk: pick(random, ["kept", "torn"] as const),
      for_ms: lasting(),
    }),
    () => ({ at_ms: at(), do: "restart", victim: random(), for_ms: upTo(400) }),
    () => ({ at_ms: at(), do: "disk-full", victim: random(), calls: failingCalls(), for_ms: lasting() }),
    // A process is killed about when letters are appended and their position is saved.
    () => {
      const [at_ms, order] = [at(), upTo(orders)];
      const poison = Array.from({ length: 1 + upTo(3) }, (): Step => ({ at_ms: at_ms + upTo(30), do: "poison", order }));
      const kill = { do: "kill-at-store-call", call: "commit", side: "after", disk: "torn" } as const;
      return [...poison, { at_ms, ...kill, after: upTo(4), for_ms: lasting() }];
    },
    // A process sleeps, or is stopped, for longer than its session, and wakes with an answer that it waited for.
    () => {
      const [at_ms, victim, for_ms] = [at(), random(), 3_000 + upTo(3_000)];
      const updates = Array.from({ length: 3 }, (): Step => {
        const update = { do: "foreign-update", order: upTo(orders), status: status(), count: 1 } as const;
        return { at_ms: at_ms + upTo(300), ...update };
      });
      return [{ at_ms, do: "stop", victim, asleep: chance(0.6), for_ms }, ...updates];
    },
    // A disk loses its power while it fails, or when it has worked again for a while.
    () => {
      const [at_ms, victim, for_ms] = [upTo(1_500), random(), 1_200 + upTo(1_500)];
      const cut_ms = at_ms + (chance(0.4) ? 500 + upTo(for_ms) : for_ms + 800 + upTo(2_500));
      return [
        { at_ms, do: "disk-full", victim, calls: chance(0.5) ? "sync" : failingCalls(), for_ms },
        { at_ms: cut_ms, do: "kill", victim, disk: "torn", for_ms: lasting() },
      ];
    },
    () => ({ at_ms: at(), do: "set-clock", victim: random(), by_ms: jump() }),
    // A process that stands still while its clock is set back may not notice that it stood still.
    () => {
      const [at_ms, victim, for_ms] = [at(), random(), lasting()];
      return [
        { at_ms, do: "stop", victim, asleep: false, for_ms },
        { at_ms: at_ms + upTo(for_ms), do: "set-clock", victim, by_ms: jump() },
      ];
    },
    () => ({
      at_ms: at(),
      do: "move-leader",
      topic: chance(0.8) ? "orders" : "dead-letters",
      share: random(),
      lag_records: 1 + upTo(5),
      for_ms: lasting(),
    }),
    // The leader moves while readers are still reading what they know the log to hold.
    () => {
      const [at_ms, order, asked] = [at(), upTo(orders), status()];
      const lead = {
        do: "move-leader",
        topic: "orders",
        share: random(),
        lag_records: 1 + upTo(4),
        for_ms: 50 + upTo(400),
      } as const;
      return [
        { at_ms, do: "bad-fetches", chance: 0.9, for_ms: 300 },
        { at_ms: at_ms + upTo(20), do: "foreign-update", order, status: asked, count: 6 + upTo(10) },
        { at_ms: at_ms + 20 + upTo(150), ...lead },
      ];
    },
    // An order service misses that others own its partitions. Orders that were created meanwhile are asked for when it is
    // back. The last instances are order services.
    () => {
      const [at_ms, for_ms, victim] = [upTo(2_000), 3_300 + upTo(1_500), 0.999 - random() / 3];
      const fault = chance(0.7) ? ({ do: "stop", asleep: chance(0.3) } as const) : ({ do: "away" } as const);
      const missed = [0, 1, 2].flatMap((n): Step[] => {
        const [order, created_ms] = [MISSED_ORDER + n, at_ms + 3_050 + upTo(for_ms - 3_100)];
        const looks = Array.from({ length: 8 }, (): Step => {
          const back_ms = at_ms + for_ms - 400 + upTo(450);
          return { at_ms: chance(0.3) ? created_ms + 30 + upTo(60) : back_ms, do: "look", order };
        });
        return [{ at_ms: created_ms, do: "create", order, keyed: false }, ...looks];
      });
      return [{ at_ms, ...fault, victim, for_ms }, ...missed];
    },
    () => ({ at_ms: at(), do: "stop", victim: random(), asleep: chance(0.3), for_ms: lasting() }),
    () => ({ at_ms: at(), do: "away", victim: random(), for_ms: lasting() }),
    () => ({ at_ms: at(), do: "cut-peers", from: random(), to: random(), isBothWays: chance(0.5), for_ms: lasting() }),
    () => ({ at_ms: at(), do: "broker-away", for_ms: lasting() }),
    () => ({ at_ms: at(), do: "bad-appends", chance: 0.1 + random() * 0.6, for_ms: lasting() }),
    () => ({ at_ms: at(), do: "bad-fetches", chance: 0.1 + random() * 0.6, for_ms: lasting() }),
  ];
}
