import { Violation } from "../reference/violation.ts";
import { NOTICED_MS } from "../support/cluster/cluster.ts";
import { apiKeys } from "../support/tcp-proxy.ts";
import { type Fault, type FaultWorld, pause, sleep } from "./fault-world.ts";

const BROKER_DOWN_MS_MAX = 3_000;
const BROKER_PAUSE_MS_MAX = 4_000;
const CUT_MS_MAX = 3_000;
const ACK_CUT_MS_MAX = 30_000;
const POLL_MS = 50;
/** Reading and writing are promised to be back 5 s after a new leader is there; a machine of two cores that starts brokers again is given more. */
const BACK_MS_MAX = 15_000;

export const killLeader: Fault = (world) =>
  withoutLeader(world, "killed", (node) => world.cluster.kill(node), BROKER_DOWN_MS_MAX);

/** It stands still for longer than its session, with all connections open, and goes on as if nothing had happened. */
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

/** In good order: it hands on what it leads first. */
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

/** A broker's clients are cut off, and new connections refused for a while; the brokers have each other. */
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

/** A broker takes a produce, and nobody hears of it. */
export const cutAck: Fault = async (world) => {
  const { cluster, ending } = world;
  while (!ending.aborted) {
    const node = await pickLeader(world);
    const proxy = node === undefined ? undefined : cluster.proxies.get(node);
    // A trap whose connection goes before its answer comes never springs.
    const sprung = proxy?.loseNextAnswer(apiKeys.produce).then(() => true);
    if (await Promise.race([sprung ?? sleep(POLL_MS, ending), sleep(ACK_CUT_MS_MAX, ending)])) return "a produce's answer";
  }
  return undefined;
};

/** Of a partition that chance picks. */
async function pickLeader({ cluster, topic, random }: FaultWorld): Promise<number | undefined> {
  const partitions = await cluster.admin.partitions(topic);
  return partitions[Math.floor(random() * partitions.length)]?.leader;
}

/** Takes a leader away for a while, and sees how long it takes until what it led is read and written again. */
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
 * How long it takes from now on until a record that was appended later is read, in ms. Undefined where one of the services is under a
 * fault of its own meanwhile, which takes its time too.
 */
async function backAgain(world: FaultWorld, partition: number): Promise<number | undefined> {
  const { cluster, topic, fleet, ledger, session_ms, ending } = world;
  const begun_ms = performance.now();
  // A member that left while its coordinator was killed may be waited for by the next one, until its session is over.
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
      ledger.violated(new Violation("back-after-failover", what));
      return took_ms;
    }
    await Bun.sleep(POLL_MS);
  }
  return undefined;
}
