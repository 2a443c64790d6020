import { pick } from "../support/random.ts";
import type { Step } from "./plan.ts";

/** The first of the orders that are read while their owner is away. */
const READ_ORDER = 80;
const ORDERS = 3;
/** Each but once, so that an answer tells how new it is. */
const STATUSES = ["confirmed", "processing", "shipped"] as const;

/**
 * An order service is away for about as long as a session, or longer, and misses what becomes of some orders. They are
 * asked for before, meanwhile, and when it is back. Some are created behind poison, where standbys wait until the owner
 * has committed, which it may not do any more. The last instances are order services.
 */
export function missedUpdates(random: () => number): Step[] {
  const upTo = (n: number) => Math.floor(random() * n);
  const [at_ms, for_ms, victim] = [1_400 + upTo(1_500), 1_800 + upTo(3_500), 0.999 - random() / 3];
  const fault = pick(random, [
    { do: "stop", asleep: false },
    { do: "stop", asleep: true },
    { do: "away" },
    { do: "kill", disk: "kept" },
  ] as const);
  const orders = Array.from({ length: ORDERS }, (_, n): Step[] => {
    const [order, created_ms] = [READ_ORDER + n, at_ms - 100 - upTo(500)];
    const poison: Step[] = random() < 0.8 ? [{ at_ms: created_ms - 10 - upTo(20), do: "poison", order }] : [];
    const updates = STATUSES.map((status, m): Step => {
      const part_ms = for_ms / STATUSES.length;
      return { at_ms: at_ms + Math.floor(m * part_ms) + upTo(part_ms), do: "update", order, status, keyed: true };
    });
    const looks = Array.from({ length: 16 }, (__, m): Step => {
      const back_ms = at_ms + for_ms - 50 + upTo(500);
      const early_ms = m < 9 ? created_ms + 30 + upTo(400) : at_ms + upTo(for_ms);
      return { at_ms: m < 6 ? back_ms : early_ms, do: "look", order };
    });
    return [...poison, { at_ms: created_ms, do: "create", order, keyed: true }, ...updates, ...looks];
  });
  return [{ at_ms, ...fault, victim, for_ms }, ...orders.flat()];
}
