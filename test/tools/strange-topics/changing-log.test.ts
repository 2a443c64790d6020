import { describe, expect, test } from "bun:test";
import { noFaults } from "../../log/memory/memory-log.ts";
import type { Log } from "../../../src/log/port.ts";
import { runReplay } from "../../../src/tools/replay/replay-command.ts";
import { type OperationsRig, operationsRig } from "../rig.ts";
import { archive, fast, record, replaced, replay, rigWith, SOURCE } from "./rig.ts";

describe("a log that changes under an operation", () => {
  const many = (count: number) => Array.from({ length: count }, (_, n) => record(n));
  /** Calls `once` before the n-th fetch of the topic. */
  const beforeFetch = (log: Log, topic: string, n: number, once: () => void | Promise<void>): Log => {
    let fetches = 0;
    const reader = (name: string) => {
      const found = log.reader(name);
      if (name !== topic) return found;
      return {
        get isThrottled() {
          return found.isThrottled;
        },
        fetch: async (...args: Parameters<typeof found.fetch>) => {
          if (++fetches === n) await once();
          return found.fetch(args[0], { ...args[1], partition_bytes_max: 500 });
        },
        close: () => found.close(),
      };
    };
    return replaced(log, { reader });
  };

  test("a new leader that has the same is no difference", async () => {
    await using rig = await rigWith(many(200));
    const log = beforeFetch(rig.broker.connect("operation"), SOURCE, 5, () => rig.broker.topics.elect(SOURCE, 0));
    expect((await replay(rig, "", { log })).code).toBe(0);
  });

  test.each(["replay", "archive"] as const)("a leader that lost records ends a %s, which says what to do", async (what) => {
    await using rig = await rigWith(many(200));
    const log = beforeFetch(rig.broker.connect("operation"), SOURCE, 5, async () => {
      rig.broker.topics.elect(SOURCE, 0, 3);
      await rig.log.producer().append(SOURCE, many(200));
    });
    const { code, said } = await (what === "replay" ? replay(rig, "", { log }) : archive(rig, "", { log }));
    expect([code, said]).toEqual([1, expect.stringContaining("changed while it was read: it has another record at offset")]);
  });

  test.each<[what: string, change: (rig: OperationsRig) => void | Promise<void>, why: string]>([
    [
      "made anew",
      async (rig) => {
        rig.broker.topics.deleteTopic(SOURCE);
        await rig.log.createTopic(SOURCE, 1);
        await rig.log.producer().append(SOURCE, many(20));
      },
      "was deleted and made anew",
    ],
    ["that lost its tail", (rig) => rig.broker.topics.elect(SOURCE, 0, 10), "ends at offset 10 and had records up to 19"],
  ])("a topic %s is not gone on with by a later run", async (_, change, why) => {
    let isBroken = true;
    await using rig = await operationsRig(1, {
      ...noFaults,
      onAppend: (connection, topic) => (connection.startsWith("operation") && isBroken && topic === "t" ? "reject" : "ok"),
    });
    await rig.log.createTopic(SOURCE, 1);
    await rig.log.producer().append(SOURCE, many(20));
    expect((await replay(rig, "--id r --target t", { clock: fast })).code).toBe(1);
    isBroken = false;
    await change(rig);
    const { code, said } = await rig.run(runReplay, "--id r");
    expect([code, said]).toEqual([1, expect.stringContaining(why)]);
    expect(said).toContain("To begin again: the command without --id");
    expect(await rig.read("t")).toEqual([]);
  });

  test("a target made anew between two runs, or while it is compared, is found out", async () => {
    await using rig = await rigWith(many(20));
    expect((await replay(rig, "--id r --target t")).code).toBe(0);
    rig.broker.topics.deleteTopic("t");
    await rig.log.createTopic("t", 1);
    expect(await rig.run(runReplay, "--id r")).toEqual({
      code: 1,
      said: expect.stringContaining("The topic t was deleted and made anew"),
    });
  });

  test("an archive that was begun is not gone on with in a topic made anew", async () => {
    await using rig = await rigWith(many(20));
    expect((await archive(rig)).code).toBe(0);
    rig.broker.topics.deleteTopic(SOURCE);
    await rig.log.createTopic(SOURCE, 1);
    await rig.log.producer().append(SOURCE, many(20));
    const { code, said } = await archive(rig);
    expect([code, said]).toEqual([1, expect.stringContaining("was deleted and made anew")]);
    expect(said).toContain("To begin again: the command with another --dir");
  });

  /** A source of three partitions, of which the last has a leader only while `state.leader` is "ok". */
  async function leaderless(leader: "ok" | "none") {
    const state = { leader };
    const rig = await operationsRig(1, {
      ...noFaults,
      leader: (topic, partition) => (topic === SOURCE && partition === 2 ? state.leader : "ok"),
    });
    await rig.log.createTopic(SOURCE, 3);
    return { rig, state, [Symbol.asyncDispose]: () => rig[Symbol.asyncDispose]() };
  }

  test("a partition without a leader is named, in a bounded time", async () => {
    await using log = await leaderless("none");
    const { code, said } = await replay(log.rig, "", { clock: fast });
    expect([code, said]).toEqual([2, expect.stringContaining("partition 2: The partition foreign-2 has no leader now.")]);
  });

  test("a partition that loses its leader while it is read is named with the place, in a bounded time", async () => {
    await using opened = await leaderless("ok");
    const { rig, state } = opened;
    await rig.log.producer().append(SOURCE, [record(0), record(1, { partition: 2 })]);
    const log = beforeFetch(rig.broker.connect("operation"), SOURCE, 1, () => void (state.leader = "none"));
    const { code, said } = await replay(rig, "--id during", { log, clock: fast });
    expect([code, said]).toEqual([
      2,
      expect.stringContaining("at 2:0 (partition:offset). The partition foreign-2 has no leader"),
    ]);
  });

  test("a target that takes its time is no standstill of the source", async () => {
    await using rig = await rigWith(many(40));
    const log = beforeFetch(rig.broker.connect("operation"), SOURCE, 0, () => undefined);
    const fencedProducer: Log["fencedProducer"] = async (id) => {
      const producer = await log.fencedProducer(id);
      const append: typeof producer.append = async (...args) => {
        // This is more than a minute by the operation's clock.
        await Bun.sleep(250);
        return producer.append(...args);
      };
      return { append, close: () => producer.close() };
    };
    const { code, said } = await replay(rig, "", { log: replaced(log, { fencedProducer }), clock: fast });
    expect([code, said.includes("It is tried again")]).toEqual([0, false]);
  });
});
