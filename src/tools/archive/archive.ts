import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { AppError, isAppError } from "../../errors.ts";
import { formatLogPosition, type LogPosition } from "../../log/log-position.ts";
import type { KnownTopic } from "../../log/read/comparing-reader.ts";
import { prepareDirectory } from "../../system/startup-checks.ts";
import { archiveLine, asNewRecord } from "./archive-line.ts";
import { type ArchiveFile, ArchiveFiles, type FileSum, LINE_BYTES_MAX } from "./archive-files.ts";
import { type ArchivePlan, FORMAT_VERSION } from "./archive-manifest.ts";
import { type Arrived, comparePartition, type Expected, type PartitionComparison } from "../compare/comparison.ts";
import type { OperationEnvironment } from "../environment.ts";
import { moveAll } from "../move/move-all.ts";
import type { MoveProgress } from "../move/mover.ts";
import type { Console } from "../terminal/progress.ts";
import type { Rate } from "../terminal/rate.ts";
import { interrupted, type OffsetRange, scan } from "../scan/scan.ts";
import { type Survey, survey, windowsOf } from "../scan/survey.ts";
import { existingTopic, sameTopic } from "../scan/topics.ts";
import { writeDurably } from "../files/write-durably.ts";

/** Bounds on the lines of one file before compression; a whole file is held in memory. */
const FILE_CHARS_MAX = 8 * 1024 * 1024;
const FILE_RECORDS_MAX = 50_000;

export const archivedTopic = ({ topic, topicId }: ArchivePlan): KnownTopic => ({ name: topic, topicId });

/**
 * Reads the plan of an archive that was begun in this directory, or makes and writes a new plan. Throws
 * OPERATION_REFUSED where the archive belongs to another log, LOG_DISAGREES where the topic is not the same any more,
 * and what `requireMovable` throws where the archiver could not archive everything.
 */
export async function planArchive(
  env: OperationEnvironment,
  console: Console,
  directory: string,
  topic: string,
  requireMovable: (survey: Survey) => void,
): Promise<ArchivePlan> {
  const logId = await env.log.id();
  const path = join(directory, `${topic}.plan.json`);
  if (existsSync(path)) {
    const plan = JSON.parse(readFileSync(path, "utf8")) as ArchivePlan;
    if (plan.logId === logId && plan.version === FORMAT_VERSION) {
      await sameTopic(env, archivedTopic(plan), plan.partitions);
      return plan;
    }
    throw new AppError("OPERATION_REFUSED", `${path} is of another log or program: take another --dir.`);
  }
  if (new ArchiveFiles(directory, topic).list().length > 0) {
    throw new AppError("OPERATION_REFUSED", `${join(directory, topic)} has files of another archive: take another --dir.`);
  }
  const existing = await existingTopic(env, topic);
  const surveyed = await survey(env, console, existing, await windowsOf(env, existing, {}), () => true);
  requireMovable(surveyed);
  const { ranges, undecodable } = surveyed;
  const plan = { version: FORMAT_VERSION, topic, topicId: existing.topicId, logId, undecodable, partitions: ranges };
  prepareDirectory(directory, "--dir");
  writeDurably(path, JSON.stringify(plan, undefined, 2));
  return plan;
}

/** The number of records that the topic has after those of the plan; a batch that cannot be decoded counts as one. */
export async function recordsSince(env: OperationEnvironment, console: Console, plan: ArchivePlan): Promise<number> {
  const now = await sameTopic(env, archivedTopic(plan), plan.partitions);
  const planned = new Map(plan.partitions.map(({ partition, read }) => [partition, read.to]));
  const windows = (await windowsOf(env, now, {})).map((window) => ({
    ...window,
    from: Math.max(window.from, planned.get(window.partition) ?? 0),
  }));
  const { ranges, undecodable } = await survey(env, console, now, windows, () => true);
  return ranges.reduce((sum, { matching }) => sum + matching, undecodable.batches);
}

/** Writes the files: by Redpanda Connect or by `directArchiver`. */
export type Archiver = (ranges: readonly OffsetRange[], progress: MoveProgress) => Promise<void>;

/** Writes one file at a time, so that only one is in memory. */
export const directArchiver =
  (env: OperationEnvironment, topic: KnownTopic, files: ArchiveFiles, rate: Rate): Archiver =>
  async (ranges, progress) => {
    for (const range of ranges) {
      let lines: string[] = [];
      let chars = 0;
      let first = range.from;
      let last = range.from;
      const flush = () => {
        if (lines.length > 0) files.write(range.partition, first, last, lines);
        progress.moved(lines.length);
        lines = [];
        chars = 0;
      };
      for await (const batches of scan(env, topic, [range])) {
        for (const record of batches.flatMap((batch) => batch.records)) {
          if (record.undecodable) continue;
          const line = archiveLine(record, range.partition, files.topic);
          if (line.length > LINE_BYTES_MAX) throw tooLarge(files.topic, { partition: range.partition, offset: record.offset });
          if (lines.length === 0) first = record.offset;
          last = record.offset;
          lines.push(line);
          chars += line.length;
          if (chars > FILE_CHARS_MAX || lines.length >= FILE_RECORDS_MAX) flush();
        }
        await rate.take(
          batches.reduce((sum, batch) => sum + batch.records.length, 0),
          env.signal,
        );
        if (env.signal.aborted) throw interrupted();
      }
      flush();
    }
  };

const tooLarge = (topic: string, position: LogPosition): AppError =>
  new AppError(
    "OPERATION_REFUSED",
    `The record at ${formatLogPosition(position)} of ${topic} is larger than a line of an archive may be, ${LINE_BYTES_MAX} bytes.`,
  );

/** Writes what is missing. Files that overlap, or that a killed run left cut short, are removed and written again. */
export async function moveToFiles(
  env: OperationEnvironment,
  console: Console,
  plan: ArchivePlan,
  files: ArchiveFiles,
  archiver: Archiver,
): Promise<void> {
  let good: Held = held(plan, []);
  await moveAll(env, console, {
    target: join(files.directory, files.topic),
    total: plan.partitions.reduce((sum, { matching }) => sum + matching, 0),
    // Names alone tell the progress; the comparison at the end reads every file.
    look: () => Promise.resolve((good = held(plan, files.list())).records),
    isWhole: () => good.left.length === 0,
    settle: async () => {
      await sameTopic(env, archivedTopic(plan), plan.partitions);
      await removeUnusable(files);
    },
    move: (progress) => archiver(good.left, progress),
  });
}

interface Held {
  readonly records: number;
  readonly left: readonly OffsetRange[];
}

/**
 * What the files hold, by their names. Where a partition has gaps the count of records is an estimate: an even spread.
 */
function held({ partitions }: ArchivePlan, files: readonly ArchiveFile[]): Held {
  const through = new Map<number, number>();
  for (const { partition, last } of files) through.set(partition, Math.max(last, through.get(partition) ?? -1));
  let records = 0;
  const left: OffsetRange[] = [];
  for (const { partition, from, to, matching } of partitions) {
    const next = Math.max(from, (through.get(partition) ?? -1) + 1);
    if (next < to) left.push({ partition, from: next, to });
    if (to > from) records += Math.floor((matching * Math.min(next - from, to - from)) / (to - from));
  }
  return { records, left };
}

/**
 * Removes each unusable file and all later ones of its partition, since an archiver writes only after the last file.
 */
async function removeUnusable(files: ArchiveFiles): Promise<void> {
  const through = new Map<number, number>();
  for (const file of files.list()) {
    const isUsable = file.first > (through.get(file.partition) ?? -1) && (await canRead(files, file));
    through.set(file.partition, isUsable ? file.last : Number.POSITIVE_INFINITY);
    if (!isUsable) files.remove(file);
  }
}

async function canRead(files: ArchiveFiles, file: ArchiveFile): Promise<boolean> {
  try {
    await files.sum(file);
    return true;
  } catch (e) {
    if (isAppError(e, "OPERATION_REFUSED")) return false;
    throw e;
  }
}

/** Compares each record in the files with the log, and collects what the manifest is to say of the files. */
export async function compareArchive(
  env: OperationEnvironment,
  console: Console,
  plan: ArchivePlan,
  files: ArchiveFiles,
): Promise<{ readonly compared: PartitionComparison[]; readonly sums: FileSum[] }> {
  const sums: FileSum[] = [];
  const compared: PartitionComparison[] = [];
  const progress = console.progress(
    "comparing",
    plan.partitions.reduce((sum, { matching }) => sum + matching, 0),
  );
  let done = 0;
  const all = files.byPartition();
  const topic = archivedTopic(plan);
  const arrived = async function* (partition: number): AsyncGenerator<Arrived> {
    for (const file of all.get(partition) ?? []) {
      files.secure(file);
      const onWhole = (sum: FileSum) => {
        sums.push(sum);
        progress.show((done += sum.records));
      };
      for await (const { record } of files.records(file, onWhole)) yield { record, origin: { partition, offset: record.offset } };
    }
  };
  try {
    for (const range of plan.partitions) {
      compared.push(
        await comparePartition({
          partition: range.partition,
          fromOffset: range.from,
          toOffset: range.to,
          expected: (from) => recordsIn(env, topic, { ...range, from }),
          arrived: arrived(range.partition),
          strictness: { headersInOrder: true, timestamp: true },
          mayRepeat: () => false,
        }),
      );
    }
  } finally {
    progress.end();
  }
  // The comparison holds only if the topic was not deleted and created again while it was read.
  await sameTopic(env, topic, plan.partitions);
  return { compared, sums };
}

async function* recordsIn(env: OperationEnvironment, topic: KnownTopic, range: OffsetRange): AsyncGenerator<Expected> {
  const { partition } = range;
  for await (const batches of scan(env, topic, [range])) {
    for (const record of batches.flatMap((batch) => batch.records)) {
      if (record.undecodable) continue;
      yield { offset: record.offset, record: asNewRecord({ partition, record }) };
    }
  }
}
