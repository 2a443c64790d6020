import type { Metric, Registry } from "prom-client";

/** Counts observed values by bucket. Observing allocates nothing. */
export class Distribution {
  /** The count of each bucket. There is one bucket more than there are bounds: the last one goes to +Inf. */
  readonly counts: number[];
  sum = 0;

  constructor(private readonly bounds: readonly number[]) {
    this.counts = [...bounds.map(() => 0), 0];
  }

  observe(value: number): void {
    let bucket = 0;
    while (value > (this.bounds[bucket] ?? Number.POSITIVE_INFINITY)) bucket++;
    this.counts[bucket]! += 1;
    this.sum += value;
  }
}

type Labels = Readonly<Record<string, string | number>>;

interface Sample {
  readonly metricName: string;
  readonly labels: Labels;
  readonly value: number;
}

/**
 * A histogram in prom-client's registry that does its own counting. prom-client's histogram hashes the labels at each
 * observation, which would take more than 1 % of a create's time; here the caller keeps the series.
 */
export class Histogram {
  readonly type = "histogram";
  readonly #series = new Map<string, { readonly labels: Labels; readonly distribution: Distribution }>();

  constructor(
    registry: Registry,
    readonly name: string,
    readonly help: string,
    private readonly bounds: readonly number[],
  ) {
    // The registry needs no more of a metric than its name and `get`.
    registry.registerMetric(this as unknown as Metric);
  }

  /** The series with these labels, always the same one. */
  series(labels: Labels = {}): Distribution {
    const key = JSON.stringify(labels);
    let series = this.#series.get(key);
    if (!series) this.#series.set(key, (series = { labels, distribution: new Distribution(this.bounds) }));
    return series.distribution;
  }

  /** The samples that prom-client writes. Its buckets are cumulative: each one counts everything below its bound. */
  get() {
    const { name, help, type } = this;
    const values: Sample[] = [];
    for (const { labels, distribution } of this.#series.values()) {
      let count = 0;
      for (const [i, inBucket] of distribution.counts.entries()) {
        count += inBucket;
        values.push({ metricName: `${name}_bucket`, labels: { le: this.bounds[i] ?? "+Inf", ...labels }, value: count });
      }
      values.push({ metricName: `${name}_sum`, labels, value: distribution.sum });
      values.push({ metricName: `${name}_count`, labels, value: count });
    }
    return Promise.resolve({ name, help, type, values });
  }
}
