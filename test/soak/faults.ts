import { readFile } from "node:fs/promises";
import type { TestBroker } from "../support/broker.ts";
import { apiKeys, type TcpProxy } from "../support/tcp-proxy.ts";
import { Ballast } from "../support/small-disk.ts";
import { damageStore } from "./damage.ts";
import type { Fleet, Member } from "./fleet.ts";
import type { Ledger } from "./ledger.ts";
import type { FaultKind } from "./options.ts";
import { empty, type WorkDir } from "./work-dir.ts";

export interface FaultWorld {
  readonly fleet: Fleet;
  readonly broker: TestBroker;
  readonly brokerTurns: Turns;
  readonly proxy: TcpProxy;
  readonly ledger: Ledger;
  readonly workDir: WorkDir;
  readonly session_ms: number;
  readonly random: () => number;
  /** Aborts when the run is ended early: faults under way end at once. */
  readonly ending: AbortSignal;
}

/** What a fault did; undefined where there was nothing to do it to. */
type Fault = (world: FaultWorld, n: number) => Promise<string | undefined>;

const DOWN_MS_MAX = 3_000;
const BROKER_DOWN_MS_MAX = 3_000;
const ZOMBIE_MS_MAX = 4_000;
const VISIT_MS_MAX = 4_000;
const READY_MS_MAX = 120_000;
const ACK_CUT_MS_MAX = 30_000;
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

/** A process that stands still for longer than its session, and goes on as if nothing had happened. */
const stop: Fault = async (world) => {
  using member = await world.fleet.claim("stop", world.fleet.permanent, world.ending);
  if (!member) return undefined;
  member.stop();
  await pause(world, world.session_ms + 1_000 + world.random() * ZOMBIE_MS_MAX);
  member.resume();
  return member.name;
};

/** A fourth order service comes and goes, or one of the three is restarted in good order. */
const rebalance: Fault = async (world, n) => {
  const { fleet } = world;
  using member = await fleet.claim("rebalance", n % 2 === 0 ? [fleet.visitor] : fleet.orderServices, world.ending);
  if (!member) return undefined;
  if (member === fleet.visitor) {
    member.start();
    await member.ready(READY_MS_MAX);
    await pause(world, world.random() * VISIT_MS_MAX);
    await member.terminate();
    return `${member.name} came and went`;
  }
  await member.terminate();
  await pause(world, world.random() * DOWN_MS_MAX);
  member.start();
  return `${member.name} was restarted in good order`;
};

const restartBroker: Fault = async (world) => {
  using _ = await world.brokerTurns.take();
  if (world.ending.aborted) return undefined;
  await world.broker.kill();
  await pause(world, world.random() * BROKER_DOWN_MS_MAX);
  await world.broker.start();
  return "the broker";
};

/** The broker takes a produce, and nobody hears of it. */
const cutAck: Fault = async ({ proxy, ending }) => {
  while (!ending.aborted) {
    // A trap whose connection goes before its answer comes never springs.
    const sprung = proxy.loseNextAnswer(apiKeys.produce).then(() => true);
    if (await Promise.race([sprung, sleep(ACK_CUT_MS_MAX, ending)])) return "a produce's answer";
  }
  return undefined;
};

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

/** In turn the order service and the cart that have a file system of their own. */
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

/** Starts it without (all of) its state and waits until it is ready again. */
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
  "broker-restarts": restartBroker,
  "ack-cuts": cutAck,
  "lost-disks": loseDisk,
  "full-disks": fillDisk,
  corruptions: corrupt,
};

/** Lets one after the other do something to the broker. */
export class Turns {
  #last: Promise<void> = Promise.resolve();

  async take(): Promise<Disposable> {
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = promise;
    await before;
    return { [Symbol.dispose]: resolve };
  }
}

const pause = ({ ending }: FaultWorld, ms: number): Promise<unknown> => sleep(ms, ending);

/** Resolves early, and with undefined as ever, when `signal` aborts. */
export function sleep(ms: number, signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(undefined);
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve(undefined);
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}
