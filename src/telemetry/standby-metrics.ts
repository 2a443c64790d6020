import type { ScrapedRegistry } from "./scraped-registry.ts";

/** A partition that is followed without being owned, as far as the metrics tell of it. */
export interface WatchedStandby {
  readonly partition: number;
  readonly nextOffset: number;
  readonly endOffset: number;
  readonly hasBeenComplete: boolean;
  readonly isLagging: boolean;
}

/** Registers the metrics of standbys. `wanted` is how many each partition is to have by this process's settings. */
export function standbyMetrics(registry: ScrapedRegistry, standbys: () => Iterable<WatchedStandby>, wanted: number): void {
  registry.gauge("orders_standbys_wanted", "Standbys that each partition is to have.", [], (gauge) => gauge.set(wanted));
  const ofEach = (name: string, help: string, value: (standby: WatchedStandby) => number) =>
    registry.gauge(name, help, ["partition"], (gauge) => {
      for (const standby of standbys()) gauge.set({ partition: standby.partition }, value(standby));
    });
  ofEach("orders_standby_ready", "1 while the standby keeps up, so that it could take its partition over.", (standby) =>
    standby.hasBeenComplete && !standby.isLagging ? 1 : 0,
  );
  ofEach("orders_standby_lag_records", "Records of the log that the standby has not applied yet.", (standby) =>
    Math.max(0, standby.endOffset - standby.nextOffset),
  );
}
