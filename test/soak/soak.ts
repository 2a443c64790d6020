import { join } from "node:path";
import type { Log } from "../../src/log/port.ts";
import { Violation } from "../reference/violation.ts";
import { seededRandom } from "../simulation/scheduler.ts";
import { startCluster } from "../support/cluster/cluster.ts";
import { inspectorLog } from "../support/brokers/foreign.ts";
import { killAllTied } from "../support/programs/tied-process.ts";
import { auditDeadLetters, auditTopic, expectedOf } from "./audit.ts";
import { type FaultWorld, sleep, Turns } from "./fault-world.ts";
import { FAULTS } from "./faults.ts";
import { Fleet } from "./fleet.ts";
import { ForeignProducer } from "./foreign-producer.ts";
import { Ledger } from "./ledger.ts";
import { Load } from "./load.ts";
import { FAULT_KINDS, type FaultKind, type Options, readOptions, USAGE } from "./options.ts";
import { clockTime, Progress } from "./progress.ts";
import { readDeadLetters, readRecords, type TopicRecord } from "./records.ts";
import { type Done, failures, table } from "./report.ts";
import { auditServices, comeToRest } from "./at-rest.ts";
import { schedule } from "./schedule.ts";
import { WorkDir } from "./work-dir.ts";

const TOPIC = "orders.events";
const SESSION_MS = 6_000;
const READY_MS_MAX = 60_000;
const ANSWERED_MS_MAX = 60_000;
/** How long an order service may take to answer when all have come to rest: it may discover damage only then. */
const ANSWER_MS_MAX = 60_000;
const REST_MS_MAX = 120_000;
const INTERRUPT_MS = 1_000;
/** How much longer than the load a run may take: for starting, coming to rest, and the audit. */
const REMAINDER_MS_MAX = 20 * 60_000;
/** The size of the file systems that fill up: enough for the state of a long run. */
const DISK_MB = 256;
const DISK_MB_PER_MINUTE = 16;
const FAULTS_SALT = 0x2545f491;

const ending = new AbortController();

async function main(options: Options): Promise<number> {
  const length_ms = options.minutes * 60_000;
  setTimeout(() => {
    console.error("The soak takes much longer than it should and is given up.");
    process.exit(1);
  }, length_ms + REMAINDER_MS_MAX).unref();
  await using stack = new AsyncDisposableStack();
  const workDir = await WorkDir.make();
  let failed = true;
  stack.defer(() => workDir.dispose(failed));
  stack.defer(killAllTied);

  const cluster = await startCluster();
  if ("unavailable" in cluster) throw new Error(`The soak needs a cluster: ${cluster.unavailable}`);
  stack.defer(() => cluster.dispose());
  const log = inspectorLog(cluster.brokers);
  stack.defer(() => log.close());
  const foreign = new ForeignProducer(cluster.brokers, TOPIC);
  stack.defer(() => foreign.close());

  const random = seededRandom(options.seed);
  const faultRandom = seededRandom(options.seed ^ FAULTS_SALT);
  const ledger = new Ledger(join(workDir.logs, "answers.log"));
  stack.defer(() => ledger.close());
  const { figures } = ledger;
  const peerToken = join(workDir.path, "peer-token");
  await Bun.write(peerToken, "of the soak, as each member has a disk of its own".replaceAll(" ", "-"));
  const fleet = await Fleet.make({
    workDir,
    env: {
      PEER_TOKEN_FILE: peerToken,
      KAFKA_BROKERS: cluster.proxied,
      ORDERS_TOPIC: TOPIC,
      SESSION_TIMEOUT_MS: String(SESSION_MS),
      PARTITIONS_SETTLE_MS: "500",
    },
    random: faultRandom,
    onBadExit: (member, { code, signal }) =>
      ledger.addViolation(new Violation("no-crash", `${member} ended with ${signal ?? code}, see its log`)),
    onReady: (_, took_ms) => (figures.longestRestart_ms = Math.max(figures.longestRestart_ms, took_ms)),
  });
  stack.defer(() => fleet.kill());
  const faults = { ...options.faults };
  if (faults["full-disks"] > 0) await mountDisks(workDir, fleet, options, faults);

  for (const member of fleet.permanent) member.start();
  for (const member of fleet.permanent)
    if (!(await member.ready(READY_MS_MAX)))
      throw new Error(`${member.name} was not ready in time; its log is in ${workDir.logs}.`);

  console.log(`The soak runs for ${options.minutes} minutes with seed ${options.seed}. Ctrl-C ends it early and audits.`);
  const { signal } = ending;
  const world: FaultWorld = {
    fleet,
    cluster,
    topic: TOPIC,
    brokerTurns: new Turns(),
    ledger,
    workDir,
    session_ms: SESSION_MS,
    random: faultRandom,
    ending: signal,
  };
  const begun_ms = performance.now();
  const load = new Load({ fleet, ledger, foreign, log, topic: TOPIC, random, rate: options.rate });
  const done = Object.fromEntries(FAULT_KINDS.map((kind) => [kind, 0])) as Record<FaultKind, number>;
  let phase = "";
  let missing: string | undefined;
  {
    const told = () => FAULT_KINDS.map((kind) => `${kind} ${done[kind]}/${faults[kind]}`).join(", ");
    using _ = new Progress(() => {
      const left = phase || `${clockTime(length_ms - (performance.now() - begun_ms))} left`;
      return `${left}, ${figures.acknowledged} acknowledged, ${ledger.violations.size} violations; ${told()}`;
    });
    const loadEnds = new AbortController();
    const loading = load.run(loadEnds.signal);
    const running = schedule(faults, length_ms, faultRandom).map(({ kind, at_ms, n }) => injectAt(at_ms, kind, n, world, done));
    await sleep(length_ms, signal);
    phase = "the last faults end";
    await Promise.all(running);
    loadEnds.abort();
    await loading;
    phase = "coming to rest";
    await cluster.heal();
    await fleet.heal();
    await load.untilAnswered(ANSWERED_MS_MAX);
    missing = await comeToRest(fleet, log, TOPIC, REST_MS_MAX);
  }
  if (missing !== undefined) ledger.addViolation(new Violation("comes-to-rest", missing));
  const records = await audit(fleet, ledger, log, missing === undefined ? ANSWER_MS_MAX : 0);
  if (!ending.signal.aborted)
    for (const kind of FAULT_KINDS)
      if (done[kind] < faults[kind])
        ledger.addViolation(new Violation("faults-done", `${done[kind]} of ${faults[kind]} ${kind} could be done`));
  figures.restoredFromSnapshots = await fleet.logged("Restored from the snapshot in");
  figures.snapshotsPassedOver = await fleet.logged("The one before is taken, or the log.");
  if (done["damaged-snapshots"] > 0 && figures.restoredFromSnapshots === 0)
    ledger.addViolation(new Violation("faults-done", "no store was restored from a snapshot, so that damage could not matter"));
  failed = ledger.violations.size > 0;
  await report(options, done, ledger, records, workDir);
  return failed ? 1 : 0;
}

/**
 * Gives one order service and one cart a file system of their own. If that is not allowed, it says so, and no disks
 * fill up.
 */
async function mountDisks(workDir: WorkDir, fleet: Fleet, options: Options, faults: Record<FaultKind, number>): Promise<void> {
  const megabytes = Math.ceil(DISK_MB + DISK_MB_PER_MINUTE * options.minutes);
  for (const member of [fleet.orderServices[2], fleet.carts[1]]) {
    const problem = member && (await workDir.mount(member.dataDir, megabytes));
    if (problem === undefined) continue;
    const what = `Disks cannot be filled up: no file system can be mounted here (${problem}). Run as root, or with --full-disks 0.`;
    if (options.asked.has("full-disks")) throw new Error(what);
    console.warn(`\n!!! NOT RUN: full disks. ${what}\n`);
    faults["full-disks"] = 0;
    return;
  }
}

async function injectAt(
  at_ms: number,
  kind: FaultKind,
  n: number,
  world: FaultWorld,
  done: Record<FaultKind, number>,
): Promise<void> {
  await sleep(at_ms, world.ending);
  if (world.ending.aborted) return;
  try {
    const what = await FAULTS[kind](world, n);
    world.ledger.note(`fault ${kind}: ${what ?? "could not be done"}`);
    if (what !== undefined) done[kind]++;
  } catch (e) {
    world.ledger.addViolation(new Violation("soak-works", `${kind}: ${e instanceof Error ? (e.stack ?? e.message) : String(e)}`));
  }
}

async function audit(fleet: Fleet, ledger: Ledger, log: Log, wait_ms_max: number): Promise<TopicRecord[][]> {
  let what = "the topic is read";
  using _ = new Progress(() => `The audit: ${what}`);
  const records = await readRecords(log, TOPIC);
  const expected = expectedOf(records);
  for (const violation of auditTopic(ledger, records, expected)) ledger.addViolation(violation);
  const letters = await readDeadLetters(log, `${TOPIC}.dlq`);
  for (const violation of auditDeadLetters(records, expected, letters)) ledger.addViolation(violation);
  const onProgress = (orders: number) => (what = `${orders} of ${expected.ids.size} orders asked for`);
  await auditServices(fleet, TOPIC, expected, wait_ms_max, {
    onViolation: (violation) => ledger.addViolation(violation),
    onProgress,
  });
  return records;
}

async function report(options: Options, done: Done, ledger: Ledger, records: TopicRecord[][], workDir: WorkDir): Promise<void> {
  const ended = ending.signal.aborted ? ", ended early" : "";
  const minutes = (ledger.elapsed_ms / 60_000).toFixed(1);
  console.log(`\n${minutes} minutes with seed ${options.seed}${ended}: ${records.flat().length} records in the topic\n`);
  console.log(`${table(options, done, ledger)}\n`);
  if (ledger.violations.size === 0) return console.log("Everything holds.");
  console.log(`${await failures(ledger, records)}\n\nThe processes' logs and all answers are kept in ${workDir.logs}.`);
}

let interrupted_ms = Number.NaN;
process.on("SIGINT", () => {
  // A terminal's Ctrl-C arrives twice: once for the whole process group, and once more through `bun run`.
  if (performance.now() - interrupted_ms < INTERRUPT_MS) return;
  if (ending.signal.aborted) process.exit(130);
  interrupted_ms = performance.now();
  console.error("\nEnding early; the audit follows. Ctrl-C once more ends at once.");
  ending.abort();
});
try {
  const options = readOptions(process.argv.slice(2));
  if (!options) console.log(USAGE);
  process.exit(options ? await main(options) : 0);
} catch (e) {
  console.error(e instanceof Error ? e.message : e);
  process.exit(2);
}
