import { Counter, Gauge, Registry } from "prom-client";

/**
 * A registry of prom-client whose values are read when they are scraped. What is frequent is counted elsewhere, in plain
 * numbers.
 */
export class ScrapedRegistry extends Registry {
  /** Registers a gauge whose values `collect` sets anew at each scrape. */
  gauge<L extends string>(name: string, help: string, labelNames: L[], collect: (gauge: Gauge<L>) => void): void {
    const gauge: Gauge<L> = new Gauge({
      name,
      help,
      labelNames,
      registers: [this],
      collect: () => {
        gauge.reset();
        collect(gauge);
      },
    });
  }

  /** Registers a counter that `collect` counts up from 0 at each scrape. */
  counter<L extends string>(name: string, help: string, labelNames: L[], collect: (counter: Counter<L>) => void): void {
    const counter: Counter<L> = new Counter({
      name,
      help,
      labelNames,
      registers: [this],
      collect: () => {
        counter.reset();
        collect(counter);
      },
    });
  }
}
