import { expect, test } from "bun:test";
import { type AddressInfo, createServer } from "node:net";
import { type Clock, systemClock, within } from "../../../src/system/clock.ts";
import { Backoff } from "../../../src/log/backoff.ts";
import type { MembershipState } from "../../../src/log/membership.ts";
import type { Log } from "../../../src/log/port.ts";
import { newRecord, values } from "../../log/contract/harness.ts";
import { broker_start_ms_max, brokerSuite } from "../../support/brokers/broker.ts";
import { BACKOFF, kafkaLogs, openKafkaLog, SESSION_MS } from "../../support/brokers/kafka-log.ts";
import { apiKeys } from "../../support/brokers/tcp-proxy.ts";
import { waitUntil } from "../../support/wait-until.ts";

/* The traps of kafkajs 2.2.4 (decision 1) in which a client stands still, or never does. */

const TIMEOUT_MS = 120_000 + broker_start_ms_max;
const FETCH = { wait_ms_max: 250, partition_bytes_max: 64 * 1024 };
/** Longer than any request of ours may take: JoinGroup, the session and 5 s. */
const FLOWS_AGAIN_MS_MAX = 25_000;
/** The bound for all requests that hang, one after another. */
const HANGS_MS_MAX = 60_000;
const PARTITIONS = 6;
const IDLE_MS = 3_000;
const IDLE_TIMERS_PER_S_MAX = 50;

interface Member extends AsyncDisposable {
  readonly state: () => MembershipState;
  readonly isOwner: () => boolean;
  /** The partitions it was last assigned; none once they are lost. */
  readonly held: () => readonly number[];
  /** Every call of its listener, assigned or lost, without the partitions of an assignment. */
  readonly told: string[];
}

function join(log: Log, topic: string, group: string, onAssigned: (partitions: readonly number[]) => void = () => {}): Member {
  let held: readonly number[] = [];
  const told: string[] = [];
  const membership = log.joinGroup({
    group,
    topic,
    localPositions: () => new Map(),
    listener: {
      onAssigned: ({ partitions }) => {
        held = partitions;
        told.push("assigned");
        onAssigned(partitions);
      },
      onLost: (reason) => {
        held = [];
        told.push(`lost: ${reason}`);
      },
      onWaiting: () => undefined,
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

/** Reads the one partition of a topic from its start, as the partitions' loop does: after a failure it backs off. */
function follow(log: Log, topic: string): AsyncDisposable & { readonly read: readonly string[] } {
  const reader = log.reader(topic);
  const read: string[] = [];
  const running = { on: true };
  const reading = (async () => {
    const backoff = new Backoff(BACKOFF, Math.random);
    for (let position = 0; running.on;) {
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
  return {
    read,
    [Symbol.asyncDispose]: async () => {
      running.on = false;
      await reader.close();
      await reading;
    },
  };
}

/** A clock whose sleeps do not end while it is stalled, as in a process that stands still; its time goes on. */
class StallingClock implements Clock {
  #stalled: PromiseWithResolvers<void> | undefined;
  readonly now_ms = () => systemClock.now_ms();
  readonly wall_ms = () => systemClock.wall_ms();
  readonly yield = () => systemClock.yield();

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    await systemClock.sleep(ms, signal);
    if (!signal?.aborted) await this.#stalled?.promise;
  }

  /** Stalls the clock until the returned object is disposed of. */
  stall(): Disposable {
    const stalled = (this.#stalled = Promise.withResolvers());
    return { [Symbol.dispose]: () => stalled.resolve() };
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
      // What the other two still own, in the very call that gives the third member what was theirs.
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
      using stall = clock.stall();
      logs.proxy.pause();
      for (const member of [process, network]) expect(member.isOwner()).toBe(true);
      await waitUntil("both to own nothing", () => !process.isOwner() && !network.isOwner(), { wait_ms_max: SESSION_MS });
      expect(performance.now() - stalledAt_ms).toBeLessThan(0.75 * SESSION_MS);
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
      // The stalled process could not be told; isOwner() is what guards it.
      expect(process.told.at(-1)).toBe("assigned");

      const toldBefore = process.told.length;
      stall[Symbol.dispose]();
      logs.proxy.pass();
      await waitUntil("all three to share again", shared, { wait_ms_max: 4 * SESSION_MS });
      expect(process.told[toldBefore]).toMatch(/^lost: UNKNOWN_MEMBER_ID: .*did not hear from this process in time/);
      for (const member of [process, network]) expectLossToldOnce(member);
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
      await using reading = follow(logs.proxied, topic);
      let producer = logs.proxied.producer();
      const written: string[] = [];

      /** A record goes in and comes out, the member owns the partition, and it was told once of each loss. */
      const flow = async (after: string, wait_ms_max = FLOWS_AGAIN_MS_MAX) => {
        const value = `${written.length}`;
        written.push(value);
        const deadline_ms = systemClock.now_ms() + wait_ms_max;
        // Nothing is sent while no broker can be reached; the appender asks again.
        const append = () => producer.append(topic, [newRecord(value)], deadline_ms).then(() => true, retryUnavailable);
        await waitUntil(`an append after ${after}`, () => within(systemClock, wait_ms_max, append()), { wait_ms_max });
        await waitUntil(
          () => `records, and an owner after ${after}: ${member.state()}, ${JSON.stringify(member.told.slice(-3))}`,
          () => reading.read.at(-1) === value && member.state() === "stable" && member.isOwner() && member.held().length === 1,
          { wait_ms_max },
        );
        expect(reading.read).toEqual(written);
        expectLossToldOnce(member);
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
          // A request that only a new connection makes is reached by breaking the existing connection.
          if (["metadata", "findCoordinator", "joinGroup", "syncGroup"].includes(name))
            await logs.proxy.loseNextAnswer(heartbeat);
          renew();
          const flowing = flow(`${loss} of ${name}`);
          await waitUntil(`${loss} of ${name}`, () => sprung.then(() => true), { wait_ms_max: FLOWS_AGAIN_MS_MAX });
          await flowing;
          await flow(`${loss} of ${name}, again`);
        }
      }

      // Each request hangs once, several at the same time, for as long as a request may take: together about 20 s.
      const hung = Object.values(phases).map((key) => logs.proxy.hangNextAnswer(key));
      renew();
      await flow("produce and fetch hung", HANGS_MS_MAX);
      await waitUntil("all to hang", () => Promise.all(hung).then(() => true), { wait_ms_max: HANGS_MS_MAX });
      await flow("all hung", HANGS_MS_MAX);

      const away = async (leave: () => void | Promise<void>, comeBack: () => void | Promise<void>) => {
        const toldBefore = member.told.length;
        await leave();
        await waitUntil("the loss to be told", () => member.told.length > toldBefore && member.state() === "joining");
        await waitUntil("it to own nothing", () => !member.isOwner());
        await comeBack();
        await flow("a broker that was away");
        expect(member.told[toldBefore]).toMatch(/^lost: /);
      };
      const refused = () =>
        away(
          () => logs.proxy.refuse(),
          () => logs.proxy.pass(),
        );
      await refused();
      await away(
        () => broker.kill(),
        () => broker.start(),
      );
      await refused();
    },
    TIMEOUT_MS,
  );

  test(
    "endless restarts wedge quietly: with no broker a member tries again ever less often, at uneven times, and says that it is not in the group",
    async () => {
      const attempts_ms: number[] = [];
      const server = createServer((socket) => {
        attempts_ms.push(performance.now());
        socket.destroy();
      });
      await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
      // The smallest and the largest jitter alternate.
      let turn = 0;
      const random = () => turn++ % 2;
      const log = openKafkaLog(`127.0.0.1:${(server.address() as AddressInfo).port}`, systemClock, random);
      await using member = join(log, "none", "none");
      await Bun.sleep(4_000);
      expect(member.told).toEqual([expect.stringMatching(/^lost: /)]);
      expect([member.state(), member.isOwner()]).toEqual(["joining", false]);
      await log.close();
      server.close();
      expect(attempts_ms.length).toBeLessThan(40);
      // An attempt is two connections, 50 ms apart; between attempts it waits.
      const waits_ms = attempts_ms
        .slice(1)
        .map((at_ms, i) => at_ms - (attempts_ms[i] as number))
        .filter((wait_ms) => wait_ms > 150);
      const { backoff_ms_max } = BACKOFF;
      expect(waits_ms.length).toBeGreaterThanOrEqual(4);
      expect(waits_ms.filter((wait_ms) => wait_ms < backoff_ms_max * 0.8).length).toBeGreaterThan(1);
      expect(waits_ms.filter((wait_ms) => wait_ms >= backoff_ms_max * 0.95).length).toBeGreaterThan(1);
    },
    TIMEOUT_MS,
  );

  test(
    "hundreds of negative timers a second when idle: a log at rest sets few timers, and none that is negative",
    async () => {
      const log = openKafkaLog(broker.brokers);
      const topic = uniqueName("idle");
      await log.createTopic(topic, 1);
      await log.producer().append(topic, [newRecord("a")]);
      await using member = join(log, topic, uniqueName("group"));
      await waitUntil("an owner", () => member.isOwner(), { wait_ms_max: 30_000 });
      const reader = log.reader(topic);
      // A busy broker may refuse a new partition for a moment, and whoever is refused is not idle.
      const isRead = async () => (await reader.fetch(new Map([[0, 0]]), FETCH)).some((result) => "batch" in result);
      await waitUntil("the first record", isRead, { wait_ms_max: 30_000 });
      const warnings: string[] = [];
      const onWarning = (warning: Error) => void warnings.push(warning.name);
      const delays_ms: number[] = [];
      const systemSetTimeout = globalThis.setTimeout;
      const counting = (work: () => void, delay_ms = 0, ...rest: []) => {
        delays_ms.push(delay_ms);
        return systemSetTimeout(work, delay_ms, ...rest);
      };
      process.on("warning", onWarning);
      globalThis.setTimeout = Object.assign(counting, systemSetTimeout) as typeof setTimeout;
      try {
        const until_ms = performance.now() + IDLE_MS;
        while (performance.now() < until_ms) await reader.fetch(new Map([[0, 1]]), FETCH);
      } finally {
        globalThis.setTimeout = systemSetTimeout;
        process.off("warning", onWarning);
        await log.close();
      }
      expect(warnings).toEqual([]);
      expect(delays_ms.filter((delay_ms) => delay_ms < 0).length).toBe(0);
      expect(delays_ms.length / (IDLE_MS / 1_000)).toBeLessThan(IDLE_TIMERS_PER_S_MAX);
    },
    TIMEOUT_MS,
  );
});

/** Checks that each time out of the group was told once and is over. */
function expectLossToldOnce({ told }: Member): void {
  const assigned = told.map((call) => call === "assigned");
  expect(told.filter((_, i) => !assigned[i] && !assigned[i + 1])).toEqual([]);
}

const retryUnavailable = (e: unknown): false => {
  if ((e as { code?: unknown }).code === "LOG_UNAVAILABLE") return false;
  throw e;
};
