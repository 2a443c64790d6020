import { describe, expect, test } from "bun:test";
import { readiness } from "../../../src/http/health.ts";
import { type FetchFault, noFaults } from "../../log/memory/memory-log.ts";
import { findOrder } from "../../support/find-order.ts";
import type { HeldPartitions } from "../../../src/runtime/held-partitions.ts";
import { orderCreated, statusUpdated } from "../../support/events/orders.ts";
import { answerFor, eventually, Rig } from "../rig.ts";

/** Longer than reading may fail without consequences. */
const long_ms = 2_000;
/** Time for several attempts, with the rig's back-off of at most 20 ms. */
const attempts_ms = 150;

const lookUp = (set: HeldPartitions, orderId: string) => findOrder(set, () => 0, orderId).orderId;

/** A rig caught up on partition 0 with ORD-1 in it; the faults of fetches and of all calls can be changed. */
async function caughtUp() {
  const faults = { fetch: "ok" as FetchFault, isAway: false };
  const rig = new Rig({ ...noFaults, onFetch: () => faults.fetch, away: () => faults.isAway });
  await rig.prepare(1);
  await rig.append(orderCreated());
  const set = rig.start("x", [0]);
  set.partitionCount = 1;
  await eventually(() => readiness(set).status === "ready" && set.get(0)?.nextOffset === 1);
  return { rig, set, faults, [Symbol.asyncDispose]: () => rig[Symbol.asyncDispose]() };
}

describe("while fetches fail", () => {
  test("it is said once why, and once when they work again", async () => {
    await using outage = await caughtUp();
    const { rig, set, faults } = outage;
    faults.fetch = "reject";
    await eventually(() => rig.warnings.length > 0);
    await Bun.sleep(attempts_ms);
    expect(rig.warnings).toEqual([
      "all: Reading the records of orders fails and is tried until it works: The broker refused the fetch. Try again.",
    ]);
    faults.fetch = "ok";
    await rig.append(orderCreated({ orderId: "ORD-2" }));
    await eventually(() => set.get(0)?.nextOffset === 2);
    expect(rig.warnings.slice(1)).toEqual([
      expect.stringMatching(/^all: Reading the records of orders works again, after \d+ ms\.$/),
    ]);
  });

  test("for long, nothing is called ready or missing any more, and what is known is answered", async () => {
    await using outage = await caughtUp();
    const { rig, set, faults } = outage;
    faults.fetch = "reject";
    await eventually(() => rig.warnings.length > 0);
    await rig.append(orderCreated({ orderId: "ORD-2" }));
    expect(readiness(set)).not.toHaveProperty("reason");
    expect(() => lookUp(set, "ORD-2")).toThrow(expect.objectContaining({ code: "ORDER_NOT_FOUND" }));

    rig.passed_ms = long_ms;
    const why = "Reading the records of orders fails: The broker refused the fetch. Try again.";
    expect(readiness(set)).toMatchObject({ status: "unreadable", reason: why });
    expect(() => lookUp(set, "ORD-2")).toThrow(
      expect.objectContaining({ code: "LOG_UNAVAILABLE", message: expect.stringContaining(why) }),
    );
    expect(lookUp(set, "ORD-1")).toBe("ORD-1");

    faults.fetch = "ok";
    await eventually(() => readiness(set).status === "ready");
    expect(lookUp(set, "ORD-2")).toBe("ORD-2");
    expect(readiness(set)).not.toHaveProperty("reason");
  });

  test("for long, it is not ready again before it has reached the end that the log has then", async () => {
    await using outage = await caughtUp();
    const { rig, set, faults } = outage;
    faults.fetch = "reject";
    await eventually(() => rig.warnings.length > 0);
    rig.passed_ms = long_ms;
    await rig.append(orderCreated({ orderId: "ORD-2" }), statusUpdated({ orderId: "ORD-2", eventId: "c", status: "shipped" }));
    // Fetches work again, but bring nothing yet.
    faults.fetch = "empty";
    await eventually(() => rig.warnings.length > 1);
    expect(readiness(set)).toMatchObject({ status: "catching-up", partitions: [{ state: "catching-up" }] });
    expect(() => lookUp(set, "ORD-2")).toThrow(expect.objectContaining({ code: "CATCHING_UP" }));
    faults.fetch = "ok";
    await eventually(() => readiness(set).status === "ready");
    expect(set.get(0)?.nextOffset).toBe(3);
  });

  test("for long, an end before what was read, as a leader may name it that has just begun, halts nothing", async () => {
    await using outage = await caughtUp();
    const { rig, set, faults } = outage;
    faults.fetch = "reject";
    await eventually(() => rig.warnings.length > 0);
    rig.passed_ms = long_ms;
    const ends = rig.log.ends.bind(rig.log);
    let lies = 3;
    rig.log.ends = async (topic) => {
      const told = await ends(topic);
      const early = { startOffset: 0, endOffset: 0, stableOffset: 0, leaderEpoch: 0 };
      return lies-- > 0 ? { ...told, partitions: [early] } : told;
    };
    faults.fetch = "ok";
    await eventually(() => lies < 0 && readiness(set).status === "ready");
    await rig.append(orderCreated({ orderId: "ORD-2" }));
    await eventually(() => set.get(0)?.nextOffset === 2);
  });

  test("briefly, the partitions go on running", async () => {
    await using outage = await caughtUp();
    const { rig, set, faults } = outage;
    faults.fetch = "reject";
    await eventually(() => rig.warnings.length > 0);
    // Anyone who asked for the ends now would wait for them forever.
    rig.log.ends = () => Promise.withResolvers<never>().promise;
    faults.fetch = "empty";
    await eventually(() => rig.warnings.length > 1);
    expect(readiness(set)).toMatchObject({ status: "ready", partitions: [{ state: "running" }] });
  });

  test("who holds no partition has nothing to read, and is ready", async () => {
    await using outage = await caughtUp();
    const { rig, set, faults } = outage;
    faults.fetch = "reject";
    await eventually(() => rig.warnings.length > 0);
    rig.passed_ms = long_ms;
    expect(readiness(set).status).toBe("unreadable");
    set.assign([]);
    expect(readiness(set)).toEqual({ status: "ready", partitions: [] });
  });
});

test("a log that cannot tell its ends when partitions are opened is spoken of once", async () => {
  await using outage = await caughtUp();
  const { rig, faults } = outage;
  faults.isAway = true;
  const late = rig.start("late", [0]);
  late.partitionCount = 1;
  await eventually(() => rig.warnings.some((warning) => warning.includes("ends")));
  await Bun.sleep(attempts_ms);
  const ofEnds = () => rig.warnings.filter((warning) => warning.includes("ends"));
  expect(ofEnds()).toEqual([
    "all: Asking for the ends of orders fails and is tried until it works: The broker cannot be reached. Try again.",
  ]);
  faults.isAway = false;
  await eventually(() => readiness(late).status === "ready");
  expect(ofEnds()[1]).toContain("works again");
});

test("before anything was read, the first failure is a reason at once", async () => {
  const faults = { fetch: "reject" as FetchFault };
  await using rig = new Rig({ ...noFaults, onFetch: () => faults.fetch });
  await rig.prepare(1);
  await rig.append(orderCreated());
  const set = rig.start("x", [0]);
  await eventually(() => set.readFailure !== undefined);
  expect(readiness(set)).toMatchObject({ status: "unreadable", reason: expect.stringContaining("refused the fetch") });
  expect(Date.now() - Date.parse(readiness(set).since!)).toBeLessThan(2_000);
  expect(() => lookUp(set, "ORD-1")).toThrow(expect.objectContaining({ code: "LOG_UNAVAILABLE" }));
  faults.fetch = "ok";
  await eventually(() => answerFor(set, "ORD-1") === "new");
  expect(set.readFailure).toBeUndefined();
});

test("a failure that lasts is told again each minute, with its cause", async () => {
  await using outage = await caughtUp();
  const { rig, faults } = outage;
  faults.fetch = "reject";
  await eventually(() => rig.warnings.length === 1);
  rig.passed_ms = 59_000;
  await Bun.sleep(attempts_ms);
  expect(rig.warnings).toHaveLength(1);
  rig.passed_ms = 60_000;
  await eventually(() => rig.warnings.length === 2);
  expect(rig.warnings[1]).toContain("The broker refused the fetch");
});

test("to be closed is no outage", async () => {
  await using outage = await caughtUp();
  const { rig, set } = outage;
  await set.close();
  expect(rig.warnings).toBeEmpty();
});
