import { readFile } from "node:fs/promises";
import { Ballast } from "../support/stores/small-disk.ts";
import { cutAck, cutConnections, killLeader, pauseLeader, restartBroker } from "./broker-faults.ts";
import { damageSnapshots, damageStore } from "./damage.ts";
import { type Fault, type FaultWorld, pause } from "./fault-world.ts";
import type { Member } from "./fleet.ts";
import type { FaultKind } from "./options.ts";
import { empty } from "./work-dir.ts";

const DOWN_MS_MAX = 3_000;
const ZOMBIE_MS_MAX = 4_000;
const VISIT_MS_MAX = 4_000;
/** How long a visitor may wait for a partition of its own: it is given one once it has caught up with it. */
const SHARE_MS_MAX = 15_000;
const POLL_MS = 250;
const SNAPSHOTS_MS_MAX = 60_000;
const READY_MS_MAX = 120_000;
const DISK_FULL_MS_MAX = 60_000;
const DISK_FULL_AFTER_ERROR_MS = 4_000;
const DISK_POLL_MS = 250;

const kill: Fault = async (world) => {
  using member = await world.fleet.claim("kill", world.fleet.permanent, world.ending);
  if (!member) return undefined;
  await member.kill();
  await pause(world, world.random() * DOWN_MS_MAX);
  member.start();
  return member.name;
};

/** A process stands still for longer than its session, and then goes on as if nothing had happened. */
const stop: Fault = async (world) => {
  using member = await world.fleet.claim("stop", world.fleet.permanent, world.ending);
  if (!member) return undefined;
  member.stop();
  await pause(world, world.session_ms + 1_000 + world.random() * ZOMBIE_MS_MAX);
  member.resume();
  return member.name;
};

/**
 * A fourth order service comes, gets its share of the partitions, and goes again, in good order or not; or one of the
 * three is restarted gracefully.
 */
const rebalance: Fault = async (world, n) => {
  const { fleet } = world;
  using member = await fleet.claim("rebalance", n % 2 === 0 ? [fleet.visitor] : fleet.orderServices, world.ending);
  if (!member) return undefined;
  if (member === fleet.visitor) {
    member.start();
    await member.ready(READY_MS_MAX);
    const owned = await ownedBy(member, world);
    await pause(world, world.random() * VISIT_MS_MAX);
    const isKilled = n % 4 === 2;
    await (isKilled ? member.kill() : member.terminate());
    return `${member.name} came, got ${owned} partitions and ${isKilled ? "was killed" : "went"}`;
  }
  await member.terminate();
  await pause(world, world.random() * DOWN_MS_MAX);
  member.start();
  return `${member.name} was restarted in good order`;
};

/** Resolves with the number of the member's partitions once it has any, or when it took too long. */
async function ownedBy(member: Member, world: FaultWorld): Promise<number> {
  for (let waited_ms = 0; waited_ms < SHARE_MS_MAX && !world.ending.aborted; waited_ms += POLL_MS) {
    const owned = (await member.health())?.partitions.length ?? 0;
    if (owned > 0) return owned;
    await pause(world, POLL_MS);
  }
  return 0;
}

const loseDisk: Fault = async (world) => {
  using member = await world.fleet.claim("lost disk", world.fleet.orderServices, world.ending);
  if (!member) return undefined;
  await member.kill();
  await empty(member.dataDir);
  await restore(world, member);
  return member.name;
};

const corrupt: Fault = async (world, n) => {
  using member = await world.fleet.claim("corruption", world.fleet.orderServices, world.ending);
  if (!member) return undefined;
  await member.kill();
  const damaged = await damageStore(member.dataDir, n % 2 === 0 ? "header" : "deep", world.random);
  await restore(world, member);
  return damaged && `${member.name}: ${damaged}`;
};

/** Damages many of the newest snapshots, and takes the disk of a member that would be restored from them. */
const spoilSnapshots: Fault = async (world) => {
  const { fleet } = world;
  using member = await fleet.claim("damaged snapshots", fleet.restorable, world.ending);
  if (!member) return undefined;
  for (let waited_ms = 0; waited_ms < SNAPSHOTS_MS_MAX && !world.ending.aborted; waited_ms += POLL_MS) {
    const damaged = await damageSnapshots(fleet.snapshots, world.random);
    if (damaged.length > 0) {
      await member.kill();
      await empty(member.dataDir);
      await restore(world, member);
      return `${member.name} lost its disk; ${damaged.join("; ")}`;
    }
    await pause(world, POLL_MS);
  }
  return undefined;
};

/** Fills the disk of the order service and of the cart that have a file system of their own, in turn. */
const fillDisk: Fault = async (world, n) => {
  const role = n % 2 === 0 ? "consumer" : "producer";
  const onDisks = world.fleet.permanent.filter((member) => member.role === role && world.workDir.isMounted(member.dataDir));
  using member = await world.fleet.claim("full disk", onDisks, world.ending);
  if (!member) return undefined;
  const logged = (await readFile(member.logFile, "utf8")).length;
  const ballast = new Ballast(member.dataDir);
  try {
    for (let waited_ms = 0; waited_ms < DISK_FULL_MS_MAX && !world.ending.aborted; waited_ms += DISK_POLL_MS) {
      await ballast.fill();
      await pause(world, DISK_POLL_MS);
      const said = (await readFile(member.logFile, "utf8")).slice(logged);
      if (!/SQLITE_FULL|\bfull\b|ENOSPC/i.test(said)) continue;
      await pause(world, DISK_FULL_AFTER_ERROR_MS);
      return member.name;
    }
    return undefined;
  } finally {
    await ballast.remove();
  }
};

/** Starts a member that lost some or all of its state, and waits until it is ready again. */
async function restore({ ledger }: FaultWorld, member: Member): Promise<void> {
  const started_ms = performance.now();
  member.start();
  const { figures } = ledger;
  if (await member.ready(READY_MS_MAX))
    figures.longestRestore_ms = Math.max(figures.longestRestore_ms, performance.now() - started_ms);
}

export const FAULTS: Readonly<Record<FaultKind, Fault>> = {
  kills: kill,
  stops: stop,
  rebalances: rebalance,
  "leader-kills": killLeader,
  "broker-pauses": pauseLeader,
  "broker-restarts": restartBroker,
  "connection-cuts": cutConnections,
  "ack-cuts": cutAck,
  "lost-disks": loseDisk,
  "full-disks": fillDisk,
  corruptions: corrupt,
  "damaged-snapshots": spoilSnapshots,
};
