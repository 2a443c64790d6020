import type { HopMeter } from "./meters.ts";
import type { ScrapedRegistry } from "./scraped-registry.ts";

/** What one member of the fleet sees of it when the metrics are scraped. */
export interface WatchedFleet {
  /** How many members share the topic, this one included; 0 while that is not told. */
  readonly memberCount: number;
  /** The others that can be asked, and whether hops to them are spared since they do not answer. */
  readonly peers: Iterable<{ readonly url: string; readonly isGivenUp: boolean }>;
  /** What may be wrong between members, and whether it is. */
  readonly findings: Iterable<{ readonly code: string; readonly isFound: boolean }>;
}

/** The outcomes of hops; each series starts at 0, so that the first one counted shows as an increase. */
const HOP_OUTCOMES = ["answered", "no-answer", "breaker-open", "full", "refused", "too-late"];

/** Registers the metrics of a fleet. `fleet` is asked at each scrape, and hops are reported to what is returned. */
export function fleetMetrics(registry: ScrapedRegistry, fleet: () => WatchedFleet): HopMeter {
  const hops = new Map(HOP_OUTCOMES.map((outcome) => [outcome, 0]));
  let retries = 0;
  registry.counter(
    "orders_fleet_hops_total",
    "Questions and commands to others of its kind, by what became of them.",
    ["outcome"],
    (counter) => {
      for (const [outcome, count] of hops) counter.inc({ outcome }, count);
    },
  );
  registry.counter(
    "orders_fleet_hop_retries_total",
    "Questions that were sent once more, as a connection was lost.",
    [],
    (counter) => counter.inc(retries),
  );
  registry.gauge(
    "orders_fleet_members",
    "Services of its kind that share the topic; 0 while the group does not tell.",
    [],
    (gauge) => gauge.set(fleet().memberCount),
  );
  registry.gauge(
    "orders_fleet_peer_given_up",
    "1 while another one of its kind does not answer and is spared.",
    ["peer"],
    (gauge) => {
      for (const { url, isGivenUp } of fleet().peers) gauge.set({ peer: url }, isGivenUp ? 1 : 0);
    },
  );
  registry.gauge(
    "orders_fleet_concern",
    "1 for what is wrong between services of one kind: one URL for two, or tokens that differ.",
    ["concern"],
    (gauge) => {
      for (const { code, isFound } of fleet().findings) gauge.set({ concern: code }, isFound ? 1 : 0);
    },
  );
  return {
    hop: (outcome) => void hops.set(outcome, (hops.get(outcome) ?? 0) + 1),
    retried: () => void retries++,
  };
}
