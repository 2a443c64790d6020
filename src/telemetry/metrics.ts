import { Histogram } from "./histogram.ts";
import { CountsByPartition, type PartitionCounts, STORE_COUNTERS } from "./partition-counts.ts";
import { RECORD_COUNTS } from "../orders/outcomes.ts";
import { fleetMetrics, type WatchedFleet } from "./fleet-metrics.ts";
import { standbyMetrics, type WatchedStandby } from "./standby-metrics.ts";
import type { AppendMeter, HopMeter, Outcomes, PartitionMeter, RequestMeter, SnapshotMeter, StaleMeter } from "./meters.ts";
import { processMetrics } from "./process-metrics.ts";
import { ScrapedRegistry } from "./scraped-registry.ts";
import { snapshotMeter, watchSnapshots } from "./snapshot-meter.ts";
import { staleMeter } from "./stale-meter.ts";

/** The bounds of durations, in seconds. */
const REQUEST_BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const TRANSACTION_BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1];
const EVENT_LOOP_BOUNDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];
const BATCH_RECORDS_BOUNDS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000];

const STATES = ["created", "catching-up", "running", "suspended", "blocked", "draining", "stopped", "halted"] as const;

interface HeldPartition {
  readonly partition: number;
  readonly state: (typeof STATES)[number];
  readonly nextOffset: number;
  readonly endOffset: number;
  readonly hindered: string | undefined;
  readonly snapshot?: { readonly offset: number; readonly age_ms: number } | undefined;
}

/** The partitions whose state is read when the metrics are scraped. */
export interface WatchedPartitions<Held extends HeldPartition = HeldPartition> {
  readonly partitionCount: number;
  held(): Iterable<Held>;
  readonly readFailure: string | undefined;
  readonly standstill: string | undefined;
  readonly deadLetterFailure?: string | undefined;
  /** How many processes are to have each partition; absent where each has all. */
  readonly copiesWanted?: number | undefined;
  readonly topics?:
    { readonly findings: readonly { readonly topic: string; readonly code: string; readonly isFound: boolean }[] } | undefined;
  readonly restore:
    | { readonly partitions: number; readonly records: number; readonly records_total: number; readonly left_s: number }
    | undefined;
}

/**
 * One service's metrics for Prometheus. Frequent events are counted here in plain numbers and other values are read
 * when they are scraped; prom-client sees either only then. All series carry the service as the label `component`.
 */
export class Metrics implements PartitionMeter, RequestMeter {
  readonly #registry = new ScrapedRegistry();
  readonly #requests: Histogram;
  readonly #eventLoopDelay: Histogram;
  readonly #transactions: Histogram;
  readonly #counts = new CountsByPartition();

  constructor(
    private readonly component: "cart" | "order-service",
    readonly now_s: () => number,
    /** The number of the member that counts, where several share a port. */
    member?: number,
  ) {
    const registry = this.#registry;
    registry.setDefaultLabels({ component, ...(member === undefined ? {} : { member }) });
    this.#requests = new Histogram(
      registry,
      "http_request_duration_seconds",
      "Requests, from their arrival until their answer's headers are there.",
      REQUEST_BOUNDS,
    );
    this.#eventLoopDelay = new Histogram(
      registry,
      "event_loop_delay_seconds",
      "How late the event loop runs a timer.",
      EVENT_LOOP_BOUNDS,
    );
    this.#transactions = new Histogram(
      registry,
      "orders_transaction_duration_seconds",
      "Transactions that write a batch's rows and move its partition's offset.",
      TRANSACTION_BOUNDS,
    );
    this.#eventLoopDelay.series();
    this.#transactions.series();
    processMetrics(registry);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The metrics in Prometheus' text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  route(method: string, route: string): (status: number, took_s: number) => void {
    const byStatus = new Map<number, ReturnType<Histogram["series"]>>();
    return (status, took_s) => {
      let series = byStatus.get(status);
      if (!series) byStatus.set(status, (series = this.#requests.series({ method, route, status })));
      series.observe(took_s);
    };
  }

  eventLoopDelayed(by_s: number): void {
    this.#eventLoopDelay.series().observe(by_s);
  }

  committed(took_s: number): void {
    this.#transactions.series().observe(took_s);
  }

  applied(partition: number, outcomes: Outcomes): void {
    const counted = this.#counts.of(partition).outcomes;
    for (const outcome of RECORD_COUNTS) counted[outcome]! += outcomes[outcome] ?? 0;
  }

  opened(partition: number, unsaved: number | undefined): void {
    const counts = this.#counts.of(partition);
    if (unsaved === undefined) counts.newStores++;
    counts.recordsUnsaved += unsaved ?? 0;
  }

  storeFailed(partition: number): void {
    this.#counts.of(partition).storeOutages++;
  }

  storeSetAside(partition: number): void {
    this.#counts.of(partition).storesSetAside++;
  }

  deadLettersAppended(partition: number, letters: number, cut: number): void {
    const counts = this.#counts.of(partition);
    counts.deadLettersAppended += letters;
    counts.deadLettersCut += cut;
  }

  /** The meter of the snapshots that are taken. */
  snapshots(): SnapshotMeter {
    return snapshotMeter((name, help, value) => this.#registry.counter(name, help, [], (counter) => counter.inc(value())));
  }

  /** The meter of a cart's appender. */
  appends(): AppendMeter {
    const registry = this.#registry;
    const durations = new Histogram(
      registry,
      "orders_append_duration_seconds",
      "Appends to the log, one batch each, until all in-sync replicas have it.",
      REQUEST_BOUNDS,
    );
    const acknowledged = durations.series({ outcome: "acknowledged" });
    const failed = durations.series({ outcome: "failed" });
    const sizes = new Histogram(registry, "orders_append_records", "Records of an append.", BATCH_RECORDS_BOUNDS).series();
    let unknownRecords = 0;
    this.#registry.counter(
      "orders_append_outcome_unknown_total",
      "Events of which it is not known whether the log has them.",
      [],
      (counter) => counter.inc(unknownRecords),
    );
    // The series start at 0 with the first scrape, so that the first event shows as an increase.
    const notTaken: Record<string, number> = { EVENT_TOO_LARGE: 0, APPEND_REFUSED: 0, LOG_UNAVAILABLE: 0 };
    const help = "Events that the log did not take, by why: refused for good, or LOG_UNAVAILABLE in time.";
    this.#registry.counter("orders_append_refused_total", help, ["code"], (counter) => {
      for (const [code, events] of Object.entries(notTaken)) counter.inc({ code }, events);
    });
    return {
      now_s: this.now_s,
      appended: (outcome, records, unknown, took_s) => {
        (outcome === "acknowledged" ? acknowledged : failed).observe(took_s);
        sizes.observe(records);
        unknownRecords += unknown;
      },
      notTaken: (code) => void (notTaken[code] = (notTaken[code] ?? 0) + 1),
    };
  }

  /** Registers the metrics of a fleet; returns the meter of its hops. */
  fleet(fleet: () => WatchedFleet): HopMeter {
    return fleetMetrics(this.#registry, fleet);
  }

  /** The meter of orders that are told as stale. */
  stale(): StaleMeter {
    return staleMeter(this.#registry);
  }

  /** Registers the metrics of the partitions that are followed without being owned. */
  standbys(standbys: () => Iterable<WatchedStandby>, wanted: number): void {
    standbyMetrics(this.#registry, standbys, wanted);
  }

  /**
   * Registers the metrics of a service's partitions. `heldUpdates` is given by a service that holds updates; it
   * returns undefined while their number is not known.
   */
  watch<Held extends HeldPartition>(
    partitions: () => WatchedPartitions<Held>,
    heldUpdates?: (held: Held) => number | undefined,
  ): void {
    const flag = (condition: boolean) => (condition ? 1 : 0);
    const ofSet = (name: string, help: string, value: (set: WatchedPartitions<Held>) => number) =>
      this.#registry.gauge(name, help, [], (gauge) => gauge.set(value(partitions())));
    const ofEach = (name: string, help: string, value: (held: Held) => number | undefined) =>
      this.#registry.gauge(name, help, ["partition"], (gauge) => {
        for (const held of partitions().held()) {
          const now = value(held);
          if (now !== undefined) gauge.set({ partition: held.partition }, now);
        }
      });

    ofSet("orders_topic_partitions", "Partitions of the topic; 0 until it is known.", (set) => set.partitionCount);
    ofSet("orders_standing_still", "1 while nothing is applied although the log has records.", (set) =>
      flag(set.standstill !== undefined),
    );
    ofSet("orders_log_unreadable", "1 while the log cannot be read.", (set) => flag(set.readFailure !== undefined));
    ofSet(
      "orders_restoring_partitions",
      "Partitions that are read from far behind the log's end.",
      (set) => set.restore?.partitions ?? 0,
    );
    ofSet("orders_restore_progress_ratio", "How much of what is to be restored is; 1 when nothing is to be.", ({ restore }) =>
      restore ? restore.records / restore.records_total : 1,
    );
    ofSet(
      "orders_restore_remaining_seconds",
      "How long the restore will take at its rate; 0 when there is none.",
      (set) => set.restore?.left_s ?? 0,
    );
    this.#registry.gauge(
      "orders_partition_state",
      "1 for the state of each held partition's actor.",
      ["partition", "state"],
      (gauge) => {
        for (const held of partitions().held())
          for (const state of STATES) gauge.set({ partition: held.partition, state }, flag(held.state === state));
      },
    );
    ofEach("orders_partition_lag_records", "Records of the log that are not applied yet.", (held) =>
      Math.max(0, held.endOffset - held.nextOffset),
    );
    ofEach("orders_partition_hindered", "1 while the partition does not go on, though it will by itself.", (held) =>
      flag(held.hindered !== undefined),
    );
    ofEach("orders_store_failing", "1 while the partition's store cannot be opened or written.", ({ state }) =>
      flag(state === "suspended"),
    );
    ofEach("orders_partition_unreadable", "1 while the log does not give the partition, such as without a leader.", (held) =>
      flag(held.hindered !== undefined && held.state !== "suspended" && held.state !== "blocked"),
    );
    this.#registry.gauge(
      "orders_topic_concern",
      "1 for what about a topic's settings may cost records; looked at each minute.",
      ["topic", "concern"],
      (gauge) => {
        for (const { topic, code, isFound } of partitions().topics?.findings ?? [])
          gauge.set({ topic, concern: code }, flag(isFound));
      },
    );
    watchSnapshots(ofEach);
    for (const [name, help, value] of STORE_COUNTERS) this.#partitionCounter(name, help, partitions, value);
    if (this.component === "cart")
      ofSet(
        "orders_index_copies_wanted",
        "Carts that are to have each partition's index; 0 where each cart has all.",
        (set) => set.copiesWanted ?? 0,
      );
    if (!heldUpdates) return;

    ofEach("orders_held_updates", "Updates that wait for their order's create.", heldUpdates);
    this.#partitionCounter(
      "orders_dead_letters_appended_total",
      "Records that this process appended to the dead letters.",
      partitions,
      (counts) => counts.deadLettersAppended,
    );
    this.#partitionCounter(
      "orders_dead_letters_cut_total",
      "Of them those that were cut to fit: the whole record is in the orders' topic alone.",
      partitions,
      (counts) => counts.deadLettersCut,
    );
    ofSet("orders_dead_letters_hindered", "1 while dead letters could not be appended, should there be any.", (set) =>
      flag(set.deadLetterFailure !== undefined),
    );
    this.#registry.counter(
      "orders_records_total",
      "Records read and applied, by what became of them.",
      ["partition", "outcome"],
      (counter) => {
        for (const { partition } of partitions().held()) this.#counts.of(partition);
        for (const [partition, { outcomes }] of this.#counts.all())
          for (const outcome of RECORD_COUNTS) counter.inc({ partition, outcome }, outcomes[outcome]);
      },
    );
  }

  #partitionCounter(
    name: string,
    help: string,
    partitions: () => WatchedPartitions,
    value: (counts: PartitionCounts) => number,
  ): void {
    this.#registry.counter(name, help, ["partition"], (counter) => {
      for (const { partition } of partitions().held()) this.#counts.of(partition);
      for (const [partition, counts] of this.#counts.all()) counter.inc({ partition }, value(counts));
    });
  }
}
