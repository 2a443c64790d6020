import { describe, expect, test } from "bun:test";
import { systemClock } from "../../src/clock.ts";
import type { AppendFault, FetchFault, LeaderFault, MemoryFaults } from "../../src/log/memory-log.ts";
import { MemoryBroker } from "../../src/log/memory-log.ts";
import { eventually, newRecord, readAll, rejection, values } from "./harness.ts";

/** A broker whose faults are set by name of the process: away and stalled last, the others hit the next call. */
async function broken() {
  const away = new Set<string>();
  const stalled = new Set<string>();
  const appends: AppendFault[] = [];
  const fetches: FetchFault[] = [];
  const leaders = new Map<number, LeaderFault>();
  const faults: MemoryFaults = {
    away: (connection) => away.has(connection),
    stalled: (connection) => stalled.has(connection),
    onAppend: () => appends.shift() ?? "ok",
    onFetch: () => fetches.shift() ?? "ok",
    leader: (_, partition) => leaders.get(partition) ?? "ok",
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
  return { broker, log, away, stalled, appends, fetches, leaders };
}

const join = (log: ReturnType<MemoryBroker["connect"]>) => {
  const calls: string[] = [];
  const membership = log.joinGroup({
    group: "readers",
    topic: "orders",
    localPartitions: () => [],
    listener: {
      assigned: (partitions) => calls.push(`assigned ${partitions.join(",")}`),
      lost: (reason) => calls.push(`lost: ${reason}`),
      waiting: () => calls.push("waiting"),
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
    expect(results.map(({ partition }) => partition)).toEqual([1]);
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
