import { Violation } from "../reference/violation.ts";
import { NOTICED_MS } from "../support/cluster/cluster.ts";
import { apiKeys } from "../support/brokers/tcp-proxy.ts";
import { type Fault, type FaultWorld, pause, sleep } from "./fault-world.ts";

const BROKER_DOWN_MS_MAX = 3_000;
const BROKER_PAUSE_MS_MAX = 4_000;
const CUT_MS_MAX = 3_000;
const ACK_CUT_MS_MAX = 30_000;
const POLL_MS = 50;
/**
 * Reads and writes are promised to work again 5 s after a new leader is there; a machine with two cores that is
 * starting brokers at the same time gets more.
 */
const BACK_MS_MAX = 15_000;

export const killLeader: Fault = (world) =>
  withoutLeader(world, "killed", (node) => world.cluster.kill(node), BROKER_DOWN_MS_MAX);

/**
 * The leader stands still for longer than its session, with all connections open, and then goes on as if nothing had
 * happened.
 */
export const pauseLeader: Fault = (world) =>
  withoutLeader(
    world,
    "paused",
    async (node) => {
      world.cluster.pause(node);
      await pause(world, NOTICED_MS);
    },
    BROKER_PAUSE_MS_MAX,
  );

/** The broker is restarted gracefully: it first hands over what it leads. */
export const restartBroker: Fault = async (world) => {
  using _ = await world.brokerTurns.take();
  const node = await pickLeader(world);
  if (node === undefined || world.ending.aborted) return undefined;
  await world.cluster.stop(node);
  await pause(world, world.random() * BROKER_DOWN_MS_MAX);
  await world.cluster.start(node);
  await world.cluster.inSync();
  return `broker ${node}`;
};

/** A broker's clients are cut off and refused for a while; the brokers still reach each other. */
export const cutConnections: Fault = async (world) => {
  using _ = await world.brokerTurns.take();
  const node = await pickLeader(world);
  const proxy = node === undefined ? undefined : world.cluster.proxies.get(node);
  if (!proxy || world.ending.aborted) return undefined;
  const refused_ms = world.random() * CUT_MS_MAX;
  proxy.refuse();
  await pause(world, refused_ms);
  proxy.pass();
  return `broker ${node} for ${refused_ms.toFixed(0)} ms`;
};

/** A broker accepts a produce request, but its answer is lost. */
export const cutAck: Fault = async (world) => {
  const { cluster, ending } = world;
  while (!ending.aborted) {
    const node = await pickLeader(world);
    const proxy = node === undefined ? undefined : cluster.proxies.get(node);
    // If its connection is closed before the answer comes, the trap is never sprung.
    const sprung = proxy?.loseNextAnswer(apiKeys.produce).then(() => true);
    if (await Promise.race([sprung ?? sleep(POLL_MS, ending), sleep(ACK_CUT_MS_MAX, ending)])) return "a produce's answer";
  }
  return undefined;
};

/** The leader of a random partition. */
async function pickLeader({ cluster, topic, random }: FaultWorld): Promise<number | undefined> {
  const partitions = await cluster.admin.partitions(topic);
  return partitions[Math.floor(random() * partitions.length)]?.leader;
}

/** Takes a leader away for a while, and measures how long it takes until what it led is read and written again. */
async function withoutLeader(
  world: FaultWorld,
  how: string,
  takeAway: (node: number) => Promise<void>,
  away_ms_max: number,
): Promise<string | undefined> {
  const { cluster, topic, ledger } = world;
  const { figures } = ledger;
  using _ = await world.brokerTurns.take();
  const node = await pickLeader(world);
  if (node === undefined || world.ending.aborted) return undefined;
  const led = (await cluster.admin.partitions(topic)).flatMap(({ leader }, partition) => (leader === node ? [partition] : []));
  const begun_ms = performance.now();
  await takeAway(node);
  const away = pause(world, world.random() * away_ms_max);
  const back = await Promise.all(
    led.map(async (partition) => {
      await cluster.admin.leaderBut(topic, partition, node);
      figures.longestLeaderless_ms = Math.max(figures.longestLeaderless_ms, performance.now() - begun_ms);
      return backAgain(world, partition);
    }),
  );
  await away;
  cluster.resume(node);
  await cluster.start(node);
  await cluster.inSync();
  const measured = back.filter((took_ms) => took_ms !== undefined);
  figures.longestUnreadable_ms = Math.max(figures.longestUnreadable_ms, ...measured);
  figures.failoversMeasured += measured.length;
  const slowest = measured.length === 0 ? "not measured" : `back after ${Math.max(...measured).toFixed(0)} ms`;
  return `broker ${node} ${how}, it led ${led.length} partitions: ${slowest}`;
}

/**
 * Resolves with how long it takes, in ms, until a record that is appended from now on is read. Undefined if a service
 * is under a fault of its own meanwhile, which takes time as well.
 */
async function backAgain(world: FaultWorld, partition: number): Promise<number | undefined> {
  const { cluster, topic, fleet, ledger, session_ms, ending } = world;
  const begun_ms = performance.now();
  // If a member left while its coordinator was killed, the next coordinator may wait for it until its session is over.
  const members = [...fleet.permanent, fleet.visitor];
  const mayBeWaitedFor = members.some(({ freedAt_ms }) => begun_ms - freedAt_ms < session_ms);
  const back_ms_max = BACK_MS_MAX + (mayBeWaitedFor ? session_ms : 0);
  const end = await cluster.admin.end(topic, partition);
  while (!ending.aborted) {
    if (members.some(({ claimedBy }) => claimedBy !== undefined)) return undefined;
    if (fleet.permanent.some(({ isReady }) => !isReady)) return undefined;
    const healths = await Promise.all(fleet.orderServices.map((member) => member.health()));
    const offsets = healths.flatMap((health) => health?.partitions ?? []).filter((held) => held.partition === partition);
    const took_ms = performance.now() - begun_ms;
    if (offsets.some(({ offset }) => offset > end)) return took_ms;
    if (took_ms > back_ms_max) {
      const what = `partition ${partition} was not read again ${back_ms_max} ms after its new leader was there`;
      ledger.addViolation(new Violation("back-after-failover", what));
      return took_ms;
    }
    await Bun.sleep(POLL_MS);
  }
  return undefined;
}
