import { heldUpdatesOf } from "../../src/services/orders/query/queries.ts";
import { describe, expect, test } from "bun:test";
import { systemClock } from "../../src/system/clock.ts";
import { AppError, type ErrorCode } from "../../src/errors.ts";
import { Appender } from "../../src/log/append/appender.ts";
import type { SendOutcome } from "../../src/log/port.ts";
import { HELD_UPDATES_MAX } from "../../src/orders/outcomes.ts";
import type { AppendMeter } from "../../src/telemetry/meters.ts";
import { Metrics } from "../../src/telemetry/metrics.ts";
import { orderCreated, statusUpdated } from "../support/events/orders.ts";
import { eventually, poison, Rig } from "../runtime/rig.ts";
import { diskFull, filesWithFaults, isPositionWrite, type StatementFault } from "../support/stores/store-faults.ts";

/** The lines of one metric, as `labels value`. */
const lines = async (metrics: Metrics, name: string): Promise<string[]> =>
  (await metrics.text())
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`))
    .map((line) => line.slice(name.length).replace(/,?component="[a-z-]+"/, ""));

describe("what the partitions count", () => {
  test("each record once by what became of it, each dead letter only when it is appended, also when all is read again", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    await rig.append(
      orderCreated(),
      orderCreated(),
      orderCreated({ eventId: "other" }),
      statusUpdated({ eventId: "b", status: "shipped" }),
      poison(0, "not JSON"),
      ...Array.from({ length: HELD_UPDATES_MAX + 1 }, (_, n) => statusUpdated({ orderId: "ORD-2", eventId: `e${n}` })),
    );
    const outcomes = (...counts: number[]) =>
      ["applied", "duplicate", "held", "ignored", "dead"].map(
        (outcome, i) => `{partition="0",outcome="${outcome}"} ${counts[i]}`,
      );
    const set = rig.start("x", [0]);
    rig.metrics.watch(() => set, heldUpdatesOf);
    const end = HELD_UPDATES_MAX + 6;
    await eventually(() => set.get(0)?.nextOffset === end);
    expect(await lines(rig.metrics, "orders_records_total")).toEqual(outcomes(2, 1, HELD_UPDATES_MAX, 1, 2));
    expect(await lines(rig.metrics, "orders_held_updates")).toEqual([`{partition="0"} ${HELD_UPDATES_MAX}`]);
    expect(await lines(rig.metrics, "orders_dead_letters_appended_total")).toEqual(['{partition="0"} 2']);

    // All records are read again, and one more with them.
    rig.owner = false;
    await rig.append(poison(0, "not JSON either"));
    set.rebuild(0, "to read all again");
    rig.owner = true;
    await eventually(() => set.get(0)?.nextOffset === end + 1);
    expect(await lines(rig.metrics, "orders_records_total")).toEqual(outcomes(4, 2, 2 * HELD_UPDATES_MAX, 2, 5));
    expect(await lines(rig.metrics, "orders_held_updates")).toEqual([`{partition="0"} ${HELD_UPDATES_MAX}`]);
    expect(await lines(rig.metrics, "orders_dead_letters_appended_total")).toEqual(['{partition="0"} 3']);

    await rig.append(orderCreated({ orderId: "ORD-2", eventId: "at last" }));
    await eventually(() => set.get(0)?.nextOffset === end + 2);
    expect(await lines(rig.metrics, "orders_held_updates")).toEqual(['{partition="0"} 0']);
  });

  test("a store that fails: the outage once, and each record once, when it is applied", async () => {
    await using rig = new Rig();
    await rig.prepare(1);
    const orders = 400;
    let isFull = true;
    const write: StatementFault = (run) => {
      if (isFull) throw diskFull();
      return run();
    };
    const set = rig.start(
      "x",
      [0],
      filesWithFaults((sql) => (isPositionWrite(sql) ? write : undefined)),
    );
    rig.metrics.watch(
      () => set,
      () => 0,
    );
    const counted = async () => ({
      applied: (await lines(rig.metrics, "orders_records_total"))[0],
      failing: (await lines(rig.metrics, "orders_store_failing"))[0],
      outages: (await lines(rig.metrics, "orders_store_outages_total"))[0],
      suspended: (await lines(rig.metrics, "orders_partition_state")).find((line) => line.includes("suspended")),
    });
    await rig.append(...Array.from({ length: orders }, (_, n) => orderCreated({ orderId: `ORD-${n}` })));
    await eventually(() => set.get(0)?.state === "suspended");
    // This is long enough for a second try.
    await Bun.sleep(1_200);
    expect(await counted()).toEqual({
      applied: `{partition="0",outcome="applied"} ${orders}`,
      failing: '{partition="0"} 1',
      outages: '{partition="0"} 1',
      suspended: '{partition="0",state="suspended"} 1',
    });
    isFull = false;
    await eventually(() => set.get(0)?.state === "running");
    expect(await counted()).toEqual({
      applied: `{partition="0",outcome="applied"} ${orders}`,
      failing: '{partition="0"} 0',
      outages: '{partition="0"} 1',
      suspended: '{partition="0",state="suspended"} 0',
    });
  });
});

test("a store that cannot be asked leaves out its own numbers alone", async () => {
  await using rig = new Rig();
  await rig.prepare(2);
  const set = rig.start("x", [0, 1]);
  rig.metrics.watch(
    () => set,
    ({ partition }) => (partition === 0 ? undefined : 0),
  );
  await eventually(() => [...set.held()].every(({ state }) => state === "running"));
  expect(await lines(rig.metrics, "orders_held_updates")).toEqual(['{partition="1"} 0']);
  expect(await lines(rig.metrics, "orders_partition_lag_records")).toHaveLength(2);
});

describe("what the appender counts", () => {
  const counted = async (send: (records: number) => Promise<SendOutcome[]>, wait_ms: number) => {
    const told: Parameters<AppendMeter["appended"]>[] = [];
    const refused: string[] = [];
    const appender = new Appender({
      producer: {
        append: () => Promise.reject(new Error("The appender sends.")),
        send: (_, { length }) => send(length),
        lane: () => "",
        batchBytesMax: () => 1_000_000,
        close: () => Promise.resolve(),
      },
      topic: "t",
      clock: systemClock,
      queue_records_max: 10,
      batch_records_max: 10,
      value_bytes_max: 1_000,
      meter: {
        now_s: () => performance.now() / 1_000,
        appended: (...counts) => void told.push(counts),
        notTaken: (code) => void refused.push(code),
      },
    });
    const value = { partition: 0, key: "k", value: "v", headers: [], timestamp_ms: 0 };
    const deadline_ms = systemClock.now_ms() + wait_ms;
    await Promise.allSettled([appender.append(value, deadline_ms), appender.append(value, deadline_ms + 60_000)]);
    await eventually(() => told.length === 1);
    const [outcome, records, unknown, took_s] = told[0]!;
    expect(took_s).toBeWithin(0, 1);
    return { outcome, records, unknown, refused };
  };
  const landed = (offset: number): SendOutcome => ({ offset, leaderEpoch: 0 });
  const failed = (code: ErrorCode) => (): SendOutcome => ({ error: new AppError(code, "no") });
  const all = (fate: (offset: number) => SendOutcome) => (records: number) =>
    Promise.resolve(Array.from({ length: records }, (_, n) => fate(n)));

  test("an append, its records, and those whose outcome is not known", async () => {
    const none = { records: 2, unknown: 0, refused: [] };
    expect(await counted(all(landed), 5_000)).toEqual({ ...none, outcome: "acknowledged" });
    expect(await counted(all(failed("LOG_UNAVAILABLE")), 5_000)).toEqual({
      ...none,
      outcome: "failed",
      refused: ["LOG_UNAVAILABLE", "LOG_UNAVAILABLE"],
    });
    expect(await counted(all(failed("APPEND_OUTCOME_UNKNOWN")), 5_000)).toEqual({ ...none, outcome: "failed", unknown: 2 });
  });

  test("each record by itself, and those that were refused by why", async () => {
    const some = all((n) => (n === 0 ? failed("EVENT_TOO_LARGE")() : landed(n)));
    expect(await counted(some, 5_000)).toEqual({
      outcome: "acknowledged",
      records: 2,
      unknown: 0,
      refused: ["EVENT_TOO_LARGE"],
    });
  });

  test("one whose client was told before the log confirmed it, once", async () => {
    const late = (records: number) => Bun.sleep(300).then(() => all(landed)(records));
    expect(await counted(late, 60)).toMatchObject({ outcome: "acknowledged", records: 2, unknown: 1 });
  });

  test("refusals show at 0 before the first one", async () => {
    const metrics = new Metrics("cart", () => 0);
    const appends = metrics.appends();
    appends.notTaken("APPEND_REFUSED");
    expect(await lines(metrics, "orders_append_refused_total")).toEqual([
      '{code="EVENT_TOO_LARGE"} 0',
      '{code="APPEND_REFUSED"} 1',
      '{code="LOG_UNAVAILABLE"} 0',
    ]);
  });
});

test("what the log refuses is counted by the error that its client got, each at 0 from the start", async () => {
  const metrics = new Metrics("order-service", () => 0);
  const meter = metrics.appends();
  const counted = () => lines(metrics, "orders_append_refused_total");
  expect(await counted()).toEqual(['{code="EVENT_TOO_LARGE"} 0', '{code="APPEND_REFUSED"} 0', '{code="LOG_UNAVAILABLE"} 0']);
  meter.notTaken("APPEND_REFUSED");
  meter.notTaken("APPEND_REFUSED");
  meter.notTaken("EVENT_TOO_LARGE");
  expect(await counted()).toEqual(['{code="EVENT_TOO_LARGE"} 1', '{code="APPEND_REFUSED"} 2', '{code="LOG_UNAVAILABLE"} 0']);
});

test("orders that are told as stale are counted from 0 on, at an order service alone", async () => {
  const metrics = new Metrics("order-service", () => 0);
  const meter = metrics.stale();
  const counted = () => lines(metrics, "orders_stale_answers_total");
  expect(await counted()).toEqual(["{} 0"]);
  meter.toldStale();
  meter.toldStale();
  expect(await counted()).toEqual(["{} 2"]);
  expect(await lines(new Metrics("cart", () => 0), "orders_stale_answers_total")).toEqual([]);
});

test("a partition that waits is told by why: its store, its dead letters, or the log", async () => {
  const metrics = new Metrics("order-service", () => 0);
  const at = (partition: number, state: "running" | "suspended" | "blocked", hindered?: string) => ({
    partition,
    state,
    nextOffset: 0,
    endOffset: 0,
    hindered,
  });
  const held = [at(0, "running"), at(1, "running", "no leader"), at(2, "suspended", "disk"), at(3, "blocked", "letters")];
  metrics.watch(() => ({
    partitionCount: 4,
    held: () => held,
    readFailure: undefined,
    standstill: undefined,
    restore: undefined,
  }));
  const ones = async (name: string) => (await lines(metrics, name)).filter((line) => line.endsWith(" 1"));
  expect(await ones("orders_partition_unreadable")).toEqual(['{partition="1"} 1']);
  expect(await ones("orders_store_failing")).toEqual(['{partition="2"} 1']);
  expect(await ones("orders_partition_state")).toEqual([
    '{partition="0",state="running"} 1',
    '{partition="1",state="running"} 1',
    '{partition="2",state="suspended"} 1',
    '{partition="3",state="blocked"} 1',
  ]);
});

test("a histogram's buckets hold what lies up to their bound", async () => {
  const metrics = new Metrics("order-service", () => 0);
  const answered = metrics.route("GET", "/x");
  for (const took_s of [0, 0.001, 0.0011, 0.3, 9]) answered(200, took_s);
  const buckets = (await lines(metrics, "http_request_duration_seconds_bucket")).map((line) =>
    line.replace(/,?(method|route|status)="[^"]*"/g, ""),
  );
  expect(buckets).toEqual(
    Object.entries({ "0.001": 2, "0.0025": 3, "0.005": 3, "0.01": 3, "0.025": 3, "0.05": 3, "0.1": 3, "0.25": 3, "0.5": 4 })
      .concat([
        ["1", 4],
        ["2.5", 4],
        ["5", 4],
        ["+Inf", 5],
      ])
      .map(([le, count]) => `{le="${le}"} ${count}`),
  );
});
