/**
 * The requests of a reader that are under way, at most one for each broker, and what the latest of them left out: who
 * asks for some partitions only must not keep a broker's others from being read.
 *
 * ```
 *  a broker: asked for all ──begin() with `only`──▶ asked for some ──begin()──▶ asked for all
 * ```
 */
export class BrokerRequests {
  readonly #asked_ms = new Map<number, number>();
  /** The brokers whose latest request left partitions out. */
  readonly #partial = new Set<number>();

  get isIdle(): boolean {
    return this.#asked_ms.size === 0;
  }

  /** The brokers that have a request under way. */
  busy(): Iterable<number> {
    return this.#asked_ms.keys();
  }

  /** Whether a broker has not answered since before then. */
  isLate(before_ms: number): boolean {
    return this.#asked_ms.values().some((asked_ms) => asked_ms < before_ms);
  }

  /** When the request that is under way was sent. */
  asked_ms(nodeId: number): number | undefined {
    return this.#asked_ms.get(nodeId);
  }

  /** Whether the broker's next request is to ask for the partition, where only some are wanted now. */
  hasPlaceFor(nodeId: number, partition: number, only: ReadonlySet<number> | undefined): boolean {
    return only === undefined || only.has(partition) || this.#partial.has(nodeId);
  }

  begin(nodeId: number, now_ms: number, only: ReadonlySet<number> | undefined): void {
    this.#asked_ms.set(nodeId, now_ms);
    if (only === undefined || this.#partial.has(nodeId)) this.#partial.delete(nodeId);
    else this.#partial.add(nodeId);
  }

  end(nodeId: number): void {
    this.#asked_ms.delete(nodeId);
  }
}
