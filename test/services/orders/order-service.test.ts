import { describe, expect, test } from "bun:test";
import pino from "pino";
import { orderServiceRole } from "../../../src/compose/order-service.ts";
import { systemClock } from "../../../src/system/clock.ts";
import { readConfig } from "../../../src/config/config.ts";
import { readiness } from "../../../src/http/health.ts";
import { MemoryBroker, type MemoryFaults, noFaults } from "../../log/memory/memory-log.ts";
import type { GroupListener, Membership } from "../../../src/log/membership.ts";
import type { Log } from "../../../src/log/port.ts";
import { REBUILD_ASKED } from "../../../src/runtime/partition-stores.ts";
import { LOG_WENT_ON } from "../../../src/runtime/store/store-opening.ts";
import type { OrderService } from "../../../src/services/orders/service.ts";
import { Disk } from "../../simulation/memory-state.ts";
import { answerFor, eventually, poison } from "../../runtime/rig.ts";

const TOPIC = "orders.events";
const MINUTE_MS = 60_000;

/** An order service on a log in memory, with its warnings and a way to let time pass. */
function started(faults: MemoryFaults = noFaults, change: (log: Log) => void = () => undefined, onClaim = () => {}, env = {}) {
  const passed = { ms: 0 };
  const sleeping = new Set<() => void>();
  const clock = {
    ...systemClock,
    now_ms: () => systemClock.now_ms() + passed.ms,
    sleep: (ms: number, signal?: AbortSignal) => {
      const woken = new AbortController();
      const wake = () => woken.abort();
      sleeping.add(wake);
      return systemClock
        .sleep(ms, signal ? AbortSignal.any([signal, woken.signal]) : woken.signal)
        .finally(() => sleeping.delete(wake));
    },
  };
  const pass = (ms: number) => {
    passed.ms += ms;
    for (const wake of sleeping) wake();
  };
  const warnings: string[] = [];
  const write = (line: string) => {
    const { level, msg } = JSON.parse(line) as { level: number; msg: string };
    if (level >= 40) warnings.push(msg);
  };
  let ids = 0;
  const broker = new MemoryBroker({ clock: systemClock, newUuid: () => `id-${ids++}`, faults });
  const log: Log = broker.connect("test");
  change(log);
  const config = readConfig({ ORDERS_TOPIC: TOPIC, TOPIC_PARTITIONS: "2", BACKOFF_MS_MIN: "10", BACKOFF_MS_MAX: "100", ...env });
  const disk = new Disk();
  const claimState = () => {
    onClaim();
    return disk.claim();
  };
  const logger = pino({ level: "warn" }, { write });
  const role = orderServiceRole({ config, log, claimState, logger, clock, random: () => 0.5, now_s: () => 0 });
  role.start();
  const stop = async () => {
    await role.stop();
    await log.close();
  };
  return { broker, log, role, set: role.service.partitions, warnings, pass, [Symbol.asyncDispose]: stop };
}

describe("what keeps an order service from its work is said", () => {
  test("where the log cannot be reached: in health and to clients", async () => {
    let isAway = true;
    await using rig = started({ ...noFaults, away: () => isAway });
    await eventually(() => rig.set.readFailure !== undefined);
    expect(readiness(rig.set)).toMatchObject({ status: "joining", reason: expect.stringContaining("cannot be reached") });
    expect(answerFor(rig.set, "ORD-1")).toBe("LOG_UNAVAILABLE");
    isAway = false;
    await eventually(() => readiness(rig.set).status === "ready");
    expect(readiness(rig.set)).not.toHaveProperty("reason");
  });

  test("where the group refuses: when it begins, each minute, and no more once it is over", async () => {
    let listener: GroupListener | undefined;
    const membership = { state: "joining", reason: "The group refuses: grant READ on it." } as {
      -readonly [K in keyof Membership]: Membership[K];
    };
    Object.assign(membership, {
      isOwner: () => true,
      commit: async () => undefined,
      committed: async () => new Map(),
      rejoin: () => undefined,
      leave: async () => undefined,
    });
    await using rig = started(noFaults, (log) => {
      log.joinGroup = (options) => {
        ({ listener } = options);
        return membership;
      };
    });
    await eventually(() => listener !== undefined);
    listener?.onLost("The group refuses: grant READ on it.");
    const why = "Joining the group order-processing fails: The group refuses: grant READ on it.";
    expect(readiness(rig.set)).toMatchObject({ status: "joining", reason: why, since: expect.stringMatching(/^\d{4}-.*Z$/) });
    expect(answerFor(rig.set, "ORD-1")).toBe("LOG_UNAVAILABLE");
    const told = () => rig.warnings.filter((warning) => warning.includes("grant READ"));
    expect(told()).toHaveLength(1);
    rig.pass(MINUTE_MS);
    await eventually(() => told().length === 2);
    membership.state = "stable";
    membership.reason = undefined;
    listener?.onAssigned({ partitions: [0, 1], standbys: [], memberId: "a", members: [] });
    rig.pass(1_000);
    await eventually(() => readiness(rig.set).status === "ready");
  });

  test.each(["check", "check2"])(
    "where it has no right to append dead letters as %s: before there are any, each minute, until it has",
    async (name) => {
      let isDenied = true;
      await using rig = started({ ...noFaults, isDenied: (_, what) => isDenied && what === `${TOPIC}.dlq.${name}` });
      await eventually(() => readiness(rig.set).status === "ready" && rig.set.deadLetterFailure !== undefined);
      const why = expect.stringMatching(
        /^Preparing to append to orders\.events\.dlq fails: .*right.* grant it on all ids with the prefix "orders\.events\.dlq\."$/,
      );
      expect(readiness(rig.set)).toMatchObject({ status: "ready", deadLetters: why });
      const told = () => rig.warnings.filter((warning) => warning.startsWith("Preparing to append"));
      expect(told()).toHaveLength(1);
      rig.pass(MINUTE_MS);
      await eventually(() => told().length === 2);
      isDenied = false;
      rig.pass(MINUTE_MS);
      await eventually(() => rig.set.deadLetterFailure === undefined);
      expect(readiness(rig.set)).not.toHaveProperty("deadLetters");
    },
  );
});

test("a state that cannot be claimed suspends the partitions, and is not told as the group's failure", async () => {
  let isFull = true;
  const full = Object.assign(new Error("database or disk is full"), { code: "SQLITE_FULL" });
  await using rig = started(noFaults, undefined, () => {
    if (isFull) throw full;
  });
  await eventually(() => rig.set.get(0)?.state === "suspended" && rig.set.get(1)?.state === "suspended");
  expect(readiness(rig.set)).toMatchObject({ status: "suspended", reason: expect.stringContaining("STORE_FAILED") });
  expect(rig.set.get(0)?.hindered).toMatch(/STORE_FAILED: .*data\/state\S+: database or disk is full\. Make room/);
  expect(rig.warnings.filter((warning) => warning.includes("Joining the group"))).toEqual([]);
  isFull = false;
  rig.pass(1_000);
  await eventually(() => readiness(rig.set).status === "ready");
});

describe("a topic that loses its first records while the state has them", () => {
  const lost = (set: { readonly topics?: unknown }) =>
    ((set as OrderService["partitions"]).topics?.warnings ?? []).filter(({ code }) => code === "first-records-lost");

  test("is a concern: in the log once, in health and for the metric, until it has them again", async () => {
    await using rig = started();
    await eventually(() => readiness(rig.set).status === "ready");
    await rig.log.producer().append(TOPIC, [poison(0, "{"), poison(0, "["), poison(1, "{")]);
    await eventually(() => rig.set.get(0)?.nextOffset === 2);
    rig.pass(5_000);
    await Bun.sleep(50);
    expect(lost(rig.set)).toEqual([]);
    await rig.log.deleteRecords(TOPIC, 0, 1);
    rig.pass(5_000);
    await eventually(() => lost(rig.set).length === 1);
    expect(lost(rig.set)[0]?.detail).toMatch(/partition 0 begins at offset 1\).*the state could not be rebuilt from it/);
    expect(readiness(rig.set)).toMatchObject({ status: "ready", warnings: lost(rig.set) });
    expect(rig.set.topics?.findings).toContainEqual({ topic: TOPIC, code: "first-records-lost", isFound: true });
    rig.pass(5_000);
    await Bun.sleep(50);
    expect(rig.warnings.filter((warning) => warning.includes("has lost its first records"))).toHaveLength(1);
    rig.pass(MINUTE_MS);
    await Bun.sleep(50);
    // Looking at the settings does not change it.
    expect(lost(rig.set)).toHaveLength(1);
  });

  test("is one also where that is accepted: this state may be the only copy", async () => {
    await using rig = started(noFaults, undefined, undefined, { LOG_START: "accept" });
    await eventually(() => readiness(rig.set).status === "ready");
    await rig.log.producer().append(TOPIC, [poison(0, "{"), poison(0, "[")]);
    await eventually(() => rig.set.get(0)?.nextOffset === 2);
    await rig.log.deleteRecords(TOPIC, 0, 1);
    rig.pass(5_000);
    await eventually(() => lost(rig.set).length > 0);
  });
});

test("records that go to the dead letters are told of, and a minute later how many there were since", async () => {
  await using rig = started();
  await eventually(() => readiness(rig.set).status === "ready");
  await rig.log.producer().append(TOPIC, [poison(0, "{")]);
  const told = () => rig.warnings.filter((warning) => warning.includes("went to the dead letters"));
  await eventually(() => told().length === 1);
  await rig.log.producer().append(TOPIC, [poison(0, "{"), poison(0, "{")]);
  await eventually(() => rig.set.get(0)?.nextOffset === 3);
  expect(told()).toEqual([expect.stringContaining("1 record went")]);
  rig.pass(MINUTE_MS);
  await eventually(() => told().length === 2);
  expect(told()[1]).toMatch(/^2 records went .*: the reason is not_json, the last was at offset 2\./);
});

test("a rebuild that an operator asked for is told as that, and appends the letters anew that went with their topic", async () => {
  await using rig = started();
  const letters = async () => (await rig.log.watermarks(`${TOPIC}.dlq`)).map(({ endOffset }) => endOffset);
  await eventually(() => readiness(rig.set).status === "ready");
  await rig.log.producer().append(TOPIC, [poison(0, "{"), poison(1, "{"), poison(1, "[")]);
  await eventually(() => rig.set.get(0)?.nextOffset === 1 && rig.set.get(1)?.nextOffset === 2);
  const before = await letters();
  expect(before.every((end) => end > 0)).toBe(true);
  rig.broker.topics.deleteTopic(`${TOPIC}.dlq`);
  await rig.log.createTopic(`${TOPIC}.dlq`, 2);
  rig.set.rebuild(1, REBUILD_ASKED);
  await eventually(() => rig.set.get(1)?.state === "running" && rig.set.get(1)?.nextOffset === 2);
  expect(await letters()).toEqual([0, before[1]!]);
  expect(rig.warnings.filter((warning) => warning.includes("set aside"))).toEqual([
    "The store was set aside, as an operator asked for its rebuild; it is rebuilt from the log.",
  ]);
});

test("stores that were set aside are counted from 0 on, but for a rebuild that an operator asked for", async () => {
  await using rig = started();
  const counted = async () =>
    (await rig.role.metrics?.text())?.match(/^orders_stores_set_aside_total.*$/gm)?.map((line) => line.slice(-1));
  const isRunning = () => rig.set.get(1)?.state === "running";
  await eventually(() => readiness(rig.set).status === "ready");
  expect(await counted()).toEqual(["0", "0"]);
  for (const reason of [REBUILD_ASKED, LOG_WENT_ON, "it is damaged"]) {
    expect(await counted()).toEqual(["0", "0"]);
    rig.set.rebuild(1, reason);
    await eventually(isRunning);
  }
  expect(await counted()).toEqual(["0", "1"]);
});
