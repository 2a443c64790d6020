import type { Metric, Registry } from "prom-client";

/** What was observed, counted by bucket. Observing allocates nothing. */
export class Distribution {
  /** One more than there are bounds: the last is that of +Inf. */
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
 * A histogram of prom-client's registry that is counted here. Its own hashes the labels at each observation, which would cost a create
 * more than a hundredth of its time; here whoever observes keeps the series.
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
    // Of a metric the registry asks for no more than its name and `get`.
    registry.registerMetric(this as unknown as Metric);
  }

  /** The series of these labels; the same one when asked again. */
  series(labels: Labels = {}): Distribution {
    const key = JSON.stringify(labels);
    let series = this.#series.get(key);
    if (!series) this.#series.set(key, (series = { labels, distribution: new Distribution(this.bounds) }));
    return series.distribution;
  }

  /** What prom-client writes: each bucket holds what lies below its bound, so also what the ones before it hold. */
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
