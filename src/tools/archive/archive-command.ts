import { join, resolve } from "node:path";
import { AppError } from "../../errors.ts";
import {
  archivedTopic,
  type Archiver,
  compareArchive,
  directArchiver,
  moveToFiles,
  planArchive,
  recordsSince,
} from "./archive.ts";
import { ArchiveFiles } from "./archive-files.ts";
import { type ArchivePlan, earlierManifest, writeManifest } from "./archive-manifest.ts";
import { invalid, RATE_MAX, readCount, readOptions, readTopic, requireYes } from "../arguments.ts";
import { type CommandContext, EXIT_FAILED, EXIT_OK, failed } from "../command.ts";
import { offsetsOf, reportComparison } from "../compare/comparison-report.ts";
import { type Connect, isForConnect, openConnect, refuseForConnect, setting } from "../move/connect/connect-mover.ts";
import { lockOperation } from "../files/operation-lock.ts";
import { Rate } from "../terminal/rate.ts";
import { type Archive, compareRestore, openArchive, prepareRestore, restoreDirectly } from "./restore.ts";
import { records } from "../terminal/table.ts";
import { topicNow } from "../scan/topics.ts";
import { reportUndecodable } from "../scan/undecodable.ts";

export const ARCHIVE_USAGE = `Usage: bun run archive --dir PATH [--topic TOPIC] [--rate N] [--skip-undecodable] [--direct]
       bun run archive --restore --dir PATH [--topic TOPIC] [--target TOPIC] [--rate N] [--yes] [--direct]

Writes all records of a topic, up to its present end, to gzip-compressed JSON lines, compares them with the log, and lists the files in a
manifest. --restore checks the files against the manifest, writes them to a topic, and compares the topic with the files. The same command
again resumes an interrupted run; a finished archive takes no more records, so the next one needs a --dir of its own. Exit code 0: all
records are there; 1: not all are; 2: nothing was done.

  --dir      the directory of the archive; each archive needs its own
  --topic    the topic that is archived (default: ORDERS_TOPIC)
  --target   the topic to restore to (default: orders.restored); created if it is missing; an existing one must be empty or left by an interrupted run
  --rate     records a second, at most
  --yes      required where the target is the live topic or its dead-letter topic
  --skip-undecodable  exits with 0 even if batches that cannot be decoded were left out; they are named, in the manifest too
  --direct   on a broker: moves with this program's own producer, without Redpanda Connect
`;

const DEFAULT_TARGET = "orders.restored";
const KINDS = {
  restore: "flag",
  dir: "text",
  topic: "text",
  target: "text",
  rate: "text",
  yes: "flag",
  "skip-undecodable": "flag",
  direct: "flag",
} as const;

/** Archives or restores a topic. Resolves with the exit code. */
export async function runArchive(args: readonly string[], context: CommandContext): Promise<number> {
  const { config, env, console } = context;
  const given = readOptions(args, KINDS);
  if (given.dir === undefined) throw invalid("--dir is missing: the directory of the archive.");
  if (given.target !== undefined && !given.restore) throw invalid("--target goes with --restore.");
  const directory = resolve(given.dir);
  const topic = readTopic("topic", given.topic ?? config.orders_topic);
  const target = readTopic("target", given.target ?? DEFAULT_TARGET);
  if (given.restore) requireYes(target, given.yes, config);
  const rate = new Rate(readCount("rate", given.rate, RATE_MAX) ?? RATE_MAX, env.clock);
  using _ = lockOperation(config.data_dir, given.restore ? `restore-${target}` : `archive-${topic}`);
  const connect = isForConnect(config.log) && !given.direct ? await openConnect(context) : undefined;
  let isBegun = false;
  const onBegin = () => void (isBegun = true);
  const run = { context, directory, topic, rate, connect, skipsUndecodable: given["skip-undecodable"] === true, onBegin };
  try {
    return (await (given.restore ? restore(run, target) : archive(run))) ? EXIT_OK : EXIT_FAILED;
  } catch (e) {
    const beginAgain = `the command with another ${given.restore ? "--target" : "--dir"}`;
    return failed(console, e, { isBegun, goOn: `bun run archive ${args.join(" ")}`, beginAgain });
  }
}

interface Run {
  readonly context: CommandContext;
  readonly directory: string;
  readonly topic: string;
  readonly rate: Rate;
  /** Undefined where this program moves the records. */
  readonly connect: Connect | undefined;
  readonly skipsUndecodable: boolean;
  /** Called before the first change. */
  readonly onBegin: () => void;
}

async function archive({ context, directory, topic, rate, connect, skipsUndecodable, onBegin }: Run): Promise<boolean> {
  const { env, console } = context;
  const plan = await planArchive(env, console, directory, topic, connect ? refuseForConnect : () => undefined);
  onBegin();
  const earlier = earlierManifest(directory, topic);
  const files = new ArchiveFiles(directory, topic);
  const archiver = connect
    ? connectArchiver(connect, directory, topic, rate)
    : directArchiver(env, archivedTopic(plan), files, rate);
  await moveToFiles(env, console, plan, files, archiver);
  const { compared, sums } = await compareArchive(env, console, plan, files);
  const planned = plan.partitions.map((range) => ({ ...range, offsets: offsetsOf(range) }));
  if (!reportComparison(console, compared, { planned, source: topic, target: join(directory, topic) })) return false;
  const finishedAt = earlier ? earlier.finishedAt : new Date(env.clock.wall_ms()).toISOString();
  // A finished archive's manifest is written again too, since a damaged file may just have been replaced.
  writeManifest(directory, { ...plan, finishedAt, files: sums });
  const more = earlier ? await recordsSince(env, console, plan) : 0;
  if (more > 0) {
    console.say(
      `The archive in ${directory} was finished ${finishedAt === undefined ? "before" : `at ${finishedAt}`} with ` +
        `${records(recordsIn(plan))} of ${topic}, and still has them; the topic has ${records(more)} more by now, ` +
        "not in this archive: give another --dir.",
    );
    return false;
  }
  console.say(`All of ${records(recordsIn(plan))} of ${topic} are in ${directory}, in ${sums.length} files.`);
  if (plan.undecodable) reportUndecodable(console, topic, plan.undecodable);
  return skipsUndecodable || (plan.undecodable?.batches ?? 0) === 0;
}

async function restore({ context, directory, topic, rate, connect, onBegin }: Run, target: string): Promise<boolean> {
  const { env, console } = context;
  const found = await openArchive(console, directory, topic);
  const undecodable = found.manifest.undecodable ?? { batches: 0, kept: [] };
  if (connect) refuseForConnect({ extent: found.extent, undecodable: { batches: 0, kept: [] } });
  const prepared = await prepareRestore(env, console, found, target, !connect);
  const count = prepared.already.reduce((sum, one) => sum + one, 0);
  if (count > 0) console.say(`${records(count)} are in ${target} already.`);
  if (connect && count > 0 && count < found.records) {
    throw new AppError("OPERATION_REFUSED", `${target} is not empty, and Redpanda Connect begins anew: take another --target.`);
  }
  onBegin();
  if (!connect) await restoreDirectly(env, console, found, prepared, rate);
  else if (count === 0) await restoreByConnect(context, connect, found, target, rate);
  const compared = await compareRestore(env, console, found, prepared.topic, !connect);
  const planned = found.manifest.partitions.map(({ partition, matching }) => ({
    partition,
    matching,
    offsets: offsetsOf({ from: 0, to: matching }),
  }));
  const isWhole = reportComparison(console, compared, { planned, source: "the archive", target });
  if (isWhole) console.say(`All of ${records(found.records)} in ${directory} are in ${target}, unchanged and in order.`);
  reportUndecodable(console, topic, undecodable);
  return isWhole;
}

const recordsIn = ({ partitions }: ArchivePlan): number => partitions.reduce((sum, { matching }) => sum + matching, 0);

const connectArchiver =
  (connect: Connect, directory: string, topic: string, rate: Rate): Archiver =>
  (ranges, progress) => {
    const settings = { ARCHIVE_TOPIC: topic, ARCHIVE_DIR: directory, ARCHIVE_RATE: setting(rate.records_per_s) };
    const look = () => progress.look();
    return connect({ pipeline: "archive", input: { topic, ranges }, settings, rate, directories: [directory], look });
  };

async function restoreByConnect(
  { env, console }: CommandContext,
  connect: Connect,
  { manifest, files, records: total }: Archive,
  target: string,
  rate: Rate,
): Promise<void> {
  const { directory } = files;
  const settings = {
    ARCHIVE_TOPIC: manifest.topic,
    ARCHIVE_DIR: directory,
    RESTORE_TARGET: target,
    RESTORE_RATE: setting(rate.records_per_s),
  };
  const progress = console.progress(`to ${target}`, total);
  const look = async () => {
    const done = (await topicNow(env, target)).marks.reduce((sum, { endOffset }) => sum + endOffset, 0);
    progress.show(done);
    return done;
  };
  try {
    await connect({ pipeline: "restore", settings, rate, directories: [directory], look });
  } finally {
    progress.end();
  }
}
