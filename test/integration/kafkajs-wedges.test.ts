import { expect, test } from "bun:test";
import { type Clock, systemClock } from "../../src/clock.ts";
import { Backoff } from "../../src/log/backoff.ts";
import type { FetchResult, Log, MembershipState } from "../../src/log/log.ts";
import { newRecord, values } from "../contract/harness.ts";
import { broker_start_ms_max, brokerSuite } from "../support/broker.ts";
import { BACKOFF, kafkaLogs, openKafkaLog, SESSION_MS } from "../support/kafka-log.ts";
import { apiKeys } from "../support/tcp-proxy.ts";
import { waitUntil } from "../support/wait-until.ts";

/* The traps of kafkajs 2.2.4 (decision 1) in which a client stands still, or never does; the others are in kafkajs-traps.test.ts. */

const TIMEOUT_MS = 120_000 + broker_start_ms_max;
const FETCH = { wait_ms_max: 250, partition_bytes_max: 64 * 1024 };
/** Longer than any request of ours may take: JoinGroup, the session and 5 s. */
const FLOWS_AGAIN_MS_MAX = 25_000;
const PARTITIONS = 6;

interface Member extends AsyncDisposable {
  readonly state: () => MembershipState;
  readonly isOwner: () => boolean;
  /** What it was last assigned, none once lost. */
  readonly held: () => readonly number[];
  /** Every call of its listener but the assignments' partitions: assigned, lost. */
  readonly told: string[];
}

function join(log: Log, topic: string, group: string, onAssigned: (partitions: readonly number[]) => void = () => {}): Member {
  let held: readonly number[] = [];
  const told: string[] = [];
  const membership = log.joinGroup({
    group,
    topic,
    localPartitions: () => [],
    listener: {
      assigned: (partitions) => {
        held = partitions;
        told.push("assigned");
        onAssigned(partitions);
      },
      lost: (reason) => {
        held = [];
        told.push(`lost: ${reason}`);
      },
      waiting: () => undefined,
    },
  });
  return {
    state: () => membership.state,
    isOwner: () => membership.isOwner(),
    held: () => held,
    told,
    [Symbol.asyncDispose]: () => membership.leave(),
  };
}

/** A clock of which the sleeps do not end while it is stalled, as in a process that stands still; its time goes on. */
class StallingClock implements Clock {
  #stalled: PromiseWithResolvers<void> | undefined;
  readonly now_ms = systemClock.now_ms;
  readonly yield = systemClock.yield;

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    await systemClock.sleep(ms, signal);
    if (!signal?.aborted) await this.#stalled?.promise;
  }

  stall(): void {
    this.#stalled = Promise.withResolvers();
  }

  goOn(): void {
    this.#stalled?.resolve();
    this.#stalled = undefined;
  }
}

await brokerSuite("kafkajs' traps: wedges", (broker) => {
  const uniqueName = (prefix: string) => `${prefix}-${crypto.randomUUID()}`;

  test.skipIf(!broker.proxied)(
    "a stalled member keeps processing: it owns nothing from half a session on, before another can, and once forgotten only what it is assigned anew",
    async () => {
      await using logs = await kafkaLogs(broker);
      const topic = uniqueName("stalled");
      const group = uniqueName("group");
      await logs.direct.createTopic(topic, PARTITIONS);
      const clock = new StallingClock();
      await using process = join(logs.open("direct", clock), topic, group);
      await using network = join(logs.proxied, topic, group);
      // Both as seen by the third, in the very call that gives it what was theirs.
      const owningStill: string[] = [];
      await using healthy = join(logs.direct, topic, group, (partitions) => {
        if (partitions.length <= PARTITIONS / 3) return;
        if (process.isOwner() && process.held().some((p) => partitions.includes(p))) owningStill.push("process");
        if (network.isOwner() && network.held().some((p) => partitions.includes(p))) owningStill.push("network");
      });
      const members = [process, network, healthy];
      const shared = () => members.every((m) => m.isOwner() && m.state() === "stable" && m.held().length === PARTITIONS / 3);
      await waitUntil("all three to share", shared, { wait_ms_max: 30_000 });

      const stalledAt_ms = performance.now();
      clock.stall();
      logs.proxy.pause();
      for (const member of [process, network]) expect(member.isOwner()).toBe(true);
      await waitUntil("both to own nothing", () => !process.isOwner() && !network.isOwner(), { wait_ms_max: SESSION_MS });
      expect(performance.now() - stalledAt_ms).toBeLessThan(SESSION_MS / 2 + 500);
      expect(healthy.held()).toHaveLength(PARTITIONS / 3);
      const ownedAgain: string[] = [];
      await waitUntil(
        "the third to have all",
        () => {
          if (process.isOwner()) ownedAgain.push("process");
          if (network.isOwner()) ownedAgain.push("network");
          return healthy.isOwner() && healthy.held().length === PARTITIONS;
        },
        { wait_ms_max: 3 * SESSION_MS },
      );
      expect({ owningStill, ownedAgain }).toEqual({ owningStill: [], ownedAgain: [] });
      // The process that stands still could not be told; what guards it is isOwner().
      expect(process.told.at(-1)).toBe("assigned");

      const toldBefore = process.told.length;
      clock.goOn();
      logs.proxy.pass();
      await waitUntil("all three to share again", shared, { wait_ms_max: 4 * SESSION_MS });
      expect(process.told[toldBefore]).toMatch(/^lost: .*not aware of this member/);
      expect(network.told.filter((told) => told.startsWith("lost"))).toHaveLength(1);
      expect(members.flatMap((m) => m.held()).toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5]);
    },
    TIMEOUT_MS,
  );

  test.skipIf(!broker.canRestart || !broker.proxied)(
    "endless restarts wedge quietly: whichever request or answer is lost, hangs, or meets no broker, records flow again and the state told is right",
    async () => {
      await using logs = await kafkaLogs(broker);
      const topic = uniqueName("wedged");
      await logs.direct.createTopic(topic, 1);
      await using member = join(logs.proxied, topic, uniqueName("group"));
      const reader = logs.proxied.reader(topic);
      const read: string[] = [];
      const reading = { on: true };
      const reads = (async () => {
        const backoff = new Backoff(BACKOFF, Math.random);
        for (let position = 0; reading.on;) {
          try {
            for (const result of await reader.fetch(new Map([[0, position]]), FETCH)) {
              if (!("batch" in result)) throw new Error(JSON.stringify(result));
              position = result.batch.nextOffset;
              read.push(...values(result.batch.records));
            }
            backoff.reset();
          } catch {
            await Bun.sleep(backoff.next_ms());
          }
        }
      })();
      let producer = logs.proxied.producer();
      const written: string[] = [];

      /** A record goes in and comes out, the member owns the partition, and each time it was lost it was told so once. */
      const flow = async (after: string) => {
        const since_ms = performance.now();
        const value = `${written.length}`;
        written.push(value);
        const deadline_ms = systemClock.now_ms() + FLOWS_AGAIN_MS_MAX;
        // Nothing was sent while no broker can be reached; who appends asks again.
        const append = () => producer.append(topic, [newRecord(value)], deadline_ms).then(() => true, retryUnavailable);
        await waitUntil(`an append after ${after}`, append, { wait_ms_max: FLOWS_AGAIN_MS_MAX });
        await waitUntil(
          () => `records, and an owner after ${after}: ${member.state()}, ${JSON.stringify(member.told.slice(-3))}`,
          () => read.at(-1) === value && member.state() === "stable" && member.isOwner() && member.held().length === 1,
          { wait_ms_max: FLOWS_AGAIN_MS_MAX },
        );
        expect(performance.now() - since_ms).toBeLessThan(FLOWS_AGAIN_MS_MAX);
        expect(read).toEqual(written);
        const lost = member.told.map((told) => told.startsWith("lost"));
        expect(lost.filter((now, i) => now && lost[i + 1] !== false)).toEqual([]);
      };
      await flow("the start");

      const { joinGroup, syncGroup, heartbeat, findCoordinator, metadata, fetch, produce, initProducerId } = apiKeys;
      const phases = { produce, initProducerId, fetch, heartbeat, metadata, findCoordinator, joinGroup, syncGroup };
      const renew = () => {
        producer = logs.proxied.producer();
      };
      for (const [name, key] of Object.entries(phases)) {
        for (const loss of ["loseNextRequest", "loseNextAnswer"] as const) {
          const sprung = logs.proxy[loss](key);
          // What a connection that is made anew asks is met by breaking the one there is.
          if (["metadata", "findCoordinator", "joinGroup", "syncGroup"].includes(name))
            await logs.proxy.loseNextAnswer(heartbeat);
          renew();
          const flowing = flow(`${loss} of ${name}`);
          await waitUntil(`${loss} of ${name}`, () => sprung.then(() => true), { wait_ms_max: FLOWS_AGAIN_MS_MAX });
          await flowing;
          await flow(`${loss} of ${name}, again`);
        }
      }

      // Each of them hangs, one after another or at the same time, as they come.
      const hung = Object.values(phases).map((key) => logs.proxy.hangNextAnswer(key));
      renew();
      await flow("hangs").catch((e: unknown) => e);
      await waitUntil("all to hang", () => Promise.all(hung).then(() => true), { wait_ms_max: FLOWS_AGAIN_MS_MAX });
      await flow("all hung");

      for (let round = 0; round < 2; round++) {
        const toldBefore = member.told.length;
        await broker.kill();
        await waitUntil("the loss to be told", () => member.told.length > toldBefore && member.state() === "joining");
        await waitUntil("it to own nothing", () => !member.isOwner());
        await broker.start();
        await flow("a broker that was away");
        expect(member.told.slice(toldBefore).map((told) => told.slice(0, 4))).toEqual(["lost", "assi"]);
      }
      reading.on = false;
      await reader.close();
      await reads;
    },
    TIMEOUT_MS,
  );
});

const retryUnavailable = (e: unknown): false => {
  if ((e as { code?: unknown }).code === "LOG_UNAVAILABLE") return false;
  throw e;
};
