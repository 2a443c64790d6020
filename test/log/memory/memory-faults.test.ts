import { describe, expect, test } from "bun:test";
import { systemClock } from "../../../src/system/clock.ts";
import type { AppendFault, FetchFault, LeaderFault, MemoryFaults } from "./memory-log.ts";
import { MemoryBroker } from "./memory-log.ts";
import { batchOf, eventually, newRecord, newRecords, readAll, rejection, values } from "../contract/harness.ts";

/** A broker whose faults are set per process name: being away or stalled lasts, the other faults hit the next call. */
async function broken() {
  const away = new Set<string>();
  const stalled = new Set<string>();
  const appends: AppendFault[] = [];
  const fetches: FetchFault[] = [];
  const leaders = new Map<number, LeaderFault>();
  const denied = new Set<string>();
  const faults: MemoryFaults = {
    away: (connection) => away.has(connection),
    stalled: (connection) => stalled.has(connection),
    onAppend: () => appends.shift() ?? "ok",
    onFetch: () => fetches.shift() ?? "ok",
    leader: (_, partition) => leaders.get(partition) ?? "ok",
    isDenied: (_, name) => denied.has(name),
  };
  const broker = new MemoryBroker({
    clock: systemClock,
    newUuid: () => crypto.randomUUID(),
    faults,
    session_ms: 400,
    request_wait_ms_max: 80,
    late_ms: 80,
  });
  const log = broker.connect("a");
  await log.createTopic("orders", 4);
  return { broker, log, away, stalled, appends, fetches, leaders, denied };
}

const join = (log: ReturnType<MemoryBroker["connect"]>) => {
  const calls: string[] = [];
  const membership = log.joinGroup({
    group: "readers",
    topic: "orders",
    localPositions: () => new Map(),
    listener: {
      onAssigned: ({ partitions }) => calls.push(`assigned ${partitions.join(",")}`),
      onLost: (reason) => calls.push(`lost: ${reason}`),
      onWaiting: () => calls.push("waiting"),
    },
  });
  return { membership, calls };
};

describe("the in-memory log's faults", () => {
  test("each append fault does what its name says", async () => {
    const { log, appends } = await broken();
    const producer = log.producer();
    const outcome = async (fault: AppendFault) => {
      appends.push(fault);
      const error = await producer.append("orders", [newRecord(fault)]).then(
        () => ({ code: "acknowledged" }),
        (reason: { code: string }) => reason,
      );
      return [error.code, values(await readAll(log, "orders")).includes(fault)];
    };
    expect(await outcome("ok")).toEqual(["acknowledged", true]);
    expect(await outcome("reject")).toEqual(["LOG_UNAVAILABLE", false]);
    expect(await outcome("lose-answer")).toEqual(["APPEND_OUTCOME_UNKNOWN", true]);
    expect(await outcome("hang")).toEqual(["APPEND_OUTCOME_UNKNOWN", false]);
    expect(await outcome("land-late")).toEqual(["APPEND_OUTCOME_UNKNOWN", false]);
    await eventually("the late one", async () => values(await readAll(log, "orders")).includes("land-late"));
    expect(values(await readAll(log, "orders"))).toEqual(["ok", "lose-answer", "land-late"]);
  });

  test("a late record of a fenced producer that was taken over never lands", async () => {
    const { log, appends } = await broken();
    const older = await log.fencedProducer("fence");
    appends.push("land-late");
    expect(await rejection(older.append("orders", [newRecord("late")]))).toMatchObject({ code: "APPEND_OUTCOME_UNKNOWN" });
    const newer = await log.fencedProducer("fence");
    await newer.append("orders", [newRecord("newer")]);
    await Bun.sleep(200);
    expect(values(await readAll(log, "orders"))).toEqual(["newer"]);
  });

  test("away: every call is refused; back again, it works", async () => {
    const { log, away, fetches } = await broken();
    const producer = log.producer();
    away.add("a");
    const fetch = () => log.reader("orders").fetch(new Map([[0, 0]]), { wait_ms_max: 1_000, partition_bytes_max: 1_000 });
    for (const call of [() => producer.append("orders", [newRecord("x")]), fetch, () => log.watermarks("orders")]) {
      expect(await rejection(call())).toMatchObject({ code: "LOG_UNAVAILABLE" });
    }
    away.delete("a");
    expect(await producer.append("orders", [newRecord("back")])).toEqual([0]);
    fetches.push("empty", "hang", "reject");
    expect([await fetch(), await fetch()]).toEqual([[], []]);
    expect(await rejection(fetch())).toMatchObject({ code: "LOG_UNAVAILABLE" });
    await producer.append("orders", [newRecord("and more")]);
    const recordsOf = async () => (await fetch()).map((result) => ("batch" in result ? result.batch.records.length : result));
    fetches.push("partial");
    expect([await recordsOf(), await recordsOf()]).toEqual([[1], [2]]);
  });

  test("a partition without a leader takes nothing, gives nothing and tells no end; what the same append brings to others lands", async () => {
    const { log, leaders } = await broken();
    const [producer, fenced] = [log.producer(), await log.fencedProducer("fence")];
    await producer.append("orders", [newRecord("before")]);
    leaders.set(0, "none");
    const [led, leaderless] = [newRecord("led", { partition: 1 }), newRecord("leaderless")];
    expect(await rejection(producer.append("orders", [leaderless]))).toMatchObject({ code: "LOG_UNAVAILABLE" });
    expect(await rejection(producer.append("orders", [leaderless, led]))).toMatchObject({ code: "APPEND_OUTCOME_UNKNOWN" });
    expect(await rejection(fenced.append("orders", [led, leaderless]))).toMatchObject({ code: "LOG_UNAVAILABLE" });
    expect(await rejection(log.watermarks("orders"))).toMatchObject({ code: "LOG_UNAVAILABLE" });
    const reader = log.reader("orders");
    const positions = new Map([0, 1].map((partition) => [partition, 0]));
    const results = await reader.fetch(positions, { wait_ms_max: 1_000, partition_bytes_max: 1_000 });
    expect(results).toMatchObject([
      { partition: 0, unavailable: expect.any(String) },
      { partition: 1, batch: { endOffset: 1 } },
    ]);
    leaders.clear();
    expect([...values(await readAll(log, "orders")), ...values(await readAll(log, "orders", 1))]).toEqual(["before", "led"]);
  });

  test("a new leader shows what lies before its high watermark, and tells no end until that has caught up", async () => {
    const { log, leaders } = await broken();
    await log.producer().append(
      "orders",
      ["a", "b", "c"].map((value) => newRecord(value)),
    );
    leaders.set(0, 2);
    const reader = log.reader("orders");
    const fetch = async (position: number) => {
      const [result] = await reader.fetch(new Map([[0, position]]), { wait_ms_max: 20, partition_bytes_max: 1_000 });
      return result && "batch" in result ? [result.batch.records.length, result.batch.endOffset] : result;
    };
    expect([await fetch(0), await fetch(1), await fetch(3)]).toEqual([[1, 1], undefined, undefined]);
    expect(await rejection(log.watermarks("orders"))).toMatchObject({ code: "LOG_UNAVAILABLE" });
    leaders.clear();
    expect(await fetch(1)).toEqual([2, 3]);
    expect((await log.watermarks("orders"))[0]).toEqual({ startOffset: 0, endOffset: 3 });
  });

  test("a new leader has a higher epoch; one that was not in sync lacks the tail, and its own records take those offsets", async () => {
    const { broker, log } = await broken();
    const producer = log.producer();
    const reader = log.reader("orders");
    const fetch = (at: number) => reader.fetch(new Map([[0, at]]), { wait_ms_max: 20, partition_bytes_max: 1_000 });
    await producer.append("orders", newRecords("old", 3));
    expect((await fetch(0)).map((result) => batchOf(result).leaderEpoch)).toEqual([0]);
    expect(producer.lane("orders", 0)).toBe("0");
    broker.topics.elect("orders", 0, 1);
    expect(producer.lane("orders", 0)).toBe("1");
    expect(await producer.send("orders", [newRecord("new")])).toEqual([{ offset: 1, leaderEpoch: 1 }]);
    expect((await log.ends("orders")).partitions[0]).toMatchObject({ endOffset: 2, leaderEpoch: 1 });
    // The reader first reports that earlier reads are in doubt, and only then that the new leader has less.
    expect(await fetch(3)).toMatchObject([{ partition: 0, interrupted: expect.any(String) }]);
    expect(await fetch(3)).toEqual([{ partition: 0, outOfRange: { startOffset: 0, endOffset: 2 } }]);
    const [result] = await fetch(0);
    expect(batchOf(result!).records.map((record) => [String(record.value), record.leaderEpoch])).toEqual([
      ["old-0", 0],
      ["new", 1],
    ]);
    broker.topics.loseTail("orders", 0, 1);
    expect((await log.ends("orders")).partitions[0]).toMatchObject({ endOffset: 1, leaderEpoch: 1 });
    expect(await fetch(1)).toMatchObject([{ partition: 0, interrupted: expect.any(String) }]);
    expect(await fetch(1)).toEqual([]);
  });

  test("a record that is late reaches no other leader, and no other topic, than it was sent to", async () => {
    const { broker, log, appends } = await broken();
    const producer = log.producer();
    for (const strike of [
      () => broker.topics.elect("orders", 0),
      () => {
        broker.topics.deleteTopic("orders");
        broker.topics.growTo("orders", 4);
      },
    ]) {
      appends.push("land-late");
      await rejection(producer.append("orders", [newRecord("late")]));
      strike();
      await Bun.sleep(200);
      expect(values(await readAll(log, "orders"))).toEqual([]);
    }
  });

  test("a connection that was lost is told of each partition once", async () => {
    const { log, away, fetches } = await broken();
    await log.producer().append("orders", [newRecord("a"), newRecord("b", { partition: 1 })]);
    const reader = log.reader("orders");
    const positions = new Map([0, 1].map((partition) => [partition, 0]));
    const kinds = async () => {
      const results = await reader.fetch(positions, { wait_ms_max: 20, partition_bytes_max: 1_000 });
      return results.map((result) => Object.keys(result)[1]);
    };
    expect(await kinds()).toEqual(["batch", "batch"]);
    away.add("a");
    await rejection(kinds());
    away.delete("a");
    expect(await kinds()).toEqual(["interrupted", "interrupted"]);
    expect(await kinds()).toEqual(["batch", "batch"]);
    fetches.push("hang");
    expect(await kinds()).toEqual(["interrupted", "interrupted"]);
    expect(await kinds()).toEqual(["batch", "batch"]);
  });

  test("a batch that nobody can decode is one record for all its offsets, and is cut as a whole", async () => {
    const { broker, log } = await broken();
    const producer = log.producer();
    await producer.append("orders", [newRecord("before")]);
    broker.topics.landUndecodable("orders", 0, 3, "The batch is not what its checksum says.");
    expect(await producer.append("orders", [newRecord("after")])).toEqual([4]);
    const read = await readAll(log, "orders");
    expect(read.map(({ offset, undecodable }) => [offset, undecodable?.lastOffset])).toEqual([
      [0, undefined],
      [1, 3],
      [4, undefined],
    ]);
    broker.topics.elect("orders", 0, 3);
    expect(await log.watermarks("orders")).toMatchObject([{ endOffset: 1 }, {}, {}, {}]);
  });

  test("a process without the right is refused, and what the topic does not take is: too large, or an hour ahead", async () => {
    const { broker, log, denied } = await broken();
    const producer = log.producer();
    const fateOf = async (more: Parameters<typeof newRecord>[1] = {}) => {
      const [outcome] = await producer.send("orders", [newRecord("x", more)]);
      return "offset" in outcome! ? outcome.offset : outcome!.error.code;
    };
    denied.add("orders");
    expect(await fateOf()).toBe("APPEND_REFUSED");
    denied.add("fence");
    expect(await rejection(log.fencedProducer("fence"))).toMatchObject({ code: "APPEND_REFUSED" });
    denied.clear();
    const ahead_ms = systemClock.wall_ms() + 2 * 3_600_000;
    expect([await fateOf({ timestamp_ms: ahead_ms }), await fateOf({ timestamp_ms: BigInt(ahead_ms) * 1_000_000n })]).toEqual([
      "APPEND_REFUSED",
      "APPEND_REFUSED",
    ]);
    broker.topics.setRecordBytesMax("orders", 100);
    expect(await fateOf({ key: "k".repeat(100) })).toBe("EVENT_TOO_LARGE");
    expect(await fateOf()).toBe(0);
  });

  test("a stalled member is no owner before another can be, loses its partitions, and comes back", async () => {
    const { broker, log, stalled } = await broken();
    const first = join(log);
    await eventually("the first", () => first.membership.isOwner());
    const second = join(broker.connect("b"));
    await eventually("both", () => second.membership.isOwner());
    expect([first.calls.at(-1), second.calls.at(-1)]).toEqual(["assigned 0,1", "assigned 2,3"]);
    stalled.add("a");
    await eventually("the first to be no owner", () => !first.membership.isOwner());
    expect(second.calls.at(-1)).toBe("assigned 2,3");
    await eventually("the second to have all", () => second.calls.at(-1) === "assigned 0,1,2,3");
    expect(first.calls.at(-1)).toBe("assigned 0,1");
    stalled.delete("a");
    await eventually("the first to be back", () => first.membership.isOwner());
    expect(first.calls.slice(-2)[0]).toBe("lost: the session expired");
    expect(second.calls.at(-1)).not.toBe("assigned 0,1,2,3");
    await Promise.all([first.membership.leave(), second.membership.leave()]);
  });

  test("a lone member whose session expired while it was away gets its partitions again", async () => {
    const { log, away } = await broken();
    const { membership, calls } = join(log);
    await eventually("all partitions", () => membership.isOwner());
    away.add("a");
    await eventually("the loss", () => calls.some((call) => call.startsWith("lost")));
    away.delete("a");
    await eventually("all partitions again", () => membership.isOwner());
    expect([membership.state, calls.filter((call) => call === "assigned 0,1,2,3").length]).toEqual(["stable", 2]);
    await log.close();
  });

  test("a crashed process hears of nothing any more, and its partitions go to the others", async () => {
    const { broker, log } = await broken();
    const first = join(log);
    await eventually("the first", () => first.membership.isOwner());
    const producer = log.producer();
    const append = producer.append("orders", [newRecord("sent before")]);
    log.crash();
    expect(first.membership.isOwner()).toBe(false);
    const other = broker.connect("b");
    const second = join(other);
    await eventually("the second to have all", () => second.calls.at(-1) === "assigned 0,1,2,3");
    expect(await Promise.race([append.then(() => "settled"), Bun.sleep(50).then(() => "pending")])).toBe("pending");
    expect(first.calls.length).toBe(1);
    await second.membership.leave();
  });
});
