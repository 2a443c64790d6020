import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { AppError, isAppError } from "../errors.ts";
import { prepareDirectory } from "../start.ts";
import { archiveLine, asNewRecord } from "./archive-line.ts";
import { type ArchiveFile, ArchiveFiles, type FileSum } from "./archive-files.ts";
import { type Arrived, comparePartition, type Expected, type PartitionComparison } from "./comparison.ts";
import type { OperationEnvironment } from "./environment.ts";
import { moveAll } from "./move-all.ts";
import type { MoveProgress } from "./mover.ts";
import type { Console } from "./progress.ts";
import type { Rate } from "./rate.ts";
import { interrupted, type OffsetRange, scan } from "./scan.ts";
import { survey, type SurveyedRange, windowsOf } from "./survey.ts";
import { writeDurably } from "./write-durably.ts";

const FORMAT_VERSION = 1;
/** Lines in one file, before compression; a whole file is held in memory. */
const FILE_CHARS_MAX = 8 * 1024 * 1024;
const FILE_RECORDS_MAX = 50_000;

/** What an archive is to hold, written when it is begun: `<directory>/<topic>.plan.json`. */
export interface ArchivePlan {
  readonly version: number;
  readonly topic: string;
  readonly logId: string;
  readonly partitions: readonly SurveyedRange[];
}

/** What it holds, written when all of it was compared with the log: `<directory>/<topic>.manifest.json`. */
export interface Manifest extends ArchivePlan {
  readonly files: readonly FileSum[];
}

const manifestPath = (directory: string, topic: string): string => join(directory, `${topic}.manifest.json`);

/** The plan of an archive that was begun in this directory, or a new one. Throws OPERATION_REFUSED where it is of another log. */
export async function planArchive(
  env: OperationEnvironment,
  console: Console,
  directory: string,
  topic: string,
): Promise<ArchivePlan> {
  const logId = await env.log.id();
  const path = join(directory, `${topic}.plan.json`);
  if (existsSync(path)) {
    const plan = JSON.parse(readFileSync(path, "utf8")) as ArchivePlan;
    if (plan.logId === logId && plan.version === FORMAT_VERSION) return plan;
    throw new AppError("OPERATION_REFUSED", `${path} is of another log or program: take another --dir.`);
  }
  if (new ArchiveFiles(directory, topic).list().length > 0) {
    throw new AppError("OPERATION_REFUSED", `${join(directory, topic)} has files of another archive: take another --dir.`);
  }
  if ((await env.log.partitionCount(topic)) === 0) throw new AppError("OPERATION_REFUSED", `There is no topic ${topic}.`);
  const { ranges } = await survey(env, console, topic, await windowsOf(env, topic, {}), () => true);
  const plan = { version: FORMAT_VERSION, topic, logId, partitions: ranges };
  prepareDirectory(directory, "--dir");
  writeDurably(path, JSON.stringify(plan, undefined, 2));
  return plan;
}

/** What writes the files: Redpanda Connect, or `directArchiver`. */
export type Archiver = (ranges: readonly OffsetRange[], progress: MoveProgress) => Promise<void>;

/** One file at a time, so that one is in memory. */
export const directArchiver =
  (env: OperationEnvironment, files: ArchiveFiles, rate: Rate): Archiver =>
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
      for await (const batches of scan(env, files.topic, [range])) {
        for (const record of batches.flatMap((batch) => batch.records)) {
          if (lines.length === 0) first = record.offset;
          last = record.offset;
          const line = archiveLine(record, range.partition, files.topic);
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

/** Writes what is missing. Files that a killed run left cut short, or that overlap, are removed first and written again. */
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
    // By the files' names alone, as each is read at the end and compared.
    look: () => Promise.resolve((good = held(plan, files.list())).records),
    isWhole: () => good.left.length === 0,
    settle: async () => removeUnusable(files),
    move: (progress) => archiver(good.left, progress),
  });
}

interface Held {
  readonly records: number;
  readonly left: readonly OffsetRange[];
}

/** What files of these names hold. In a partition with gaps the count of records is not known, and an even spread is taken for it. */
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

/** With one that cannot be used go those behind it, since it is written again only where nothing is. */
function removeUnusable(files: ArchiveFiles): void {
  const through = new Map<number, number>();
  for (const file of files.list()) {
    const isUsable = file.first > (through.get(file.partition) ?? -1) && canRead(files, file);
    through.set(file.partition, isUsable ? file.last : Number.POSITIVE_INFINITY);
    if (!isUsable) files.remove(file);
  }
}

function canRead(files: ArchiveFiles, file: ArchiveFile): boolean {
  try {
    files.read(file);
    return true;
  } catch (e) {
    if (isAppError(e, "OPERATION_REFUSED")) return false;
    throw e;
  }
}

/** Compares each record in the files with the log, and notes what the manifest says of the files. */
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
  const all = files.list();
  const arrived = async function* (partition: number): AsyncGenerator<Arrived> {
    for (const file of all.filter((one) => one.partition === partition)) {
      const { sum, records } = files.read(file);
      files.sync(file);
      sums.push(sum);
      for (const { record } of records) yield { record, origin: { partition, offset: record.offset } };
      progress.show((done += records.length));
    }
  };
  try {
    for (const range of plan.partitions) {
      compared.push(
        await comparePartition({
          partition: range.partition,
          fromOffset: range.from,
          toOffset: range.to,
          expected: (from) => recordsIn(env, plan.topic, { ...range, from }),
          arrived: arrived(range.partition),
          strictness: { headersInOrder: true, timestamp: true },
          mayRepeat: () => false,
        }),
      );
    }
  } finally {
    progress.end();
  }
  return { compared, sums };
}

async function* recordsIn(env: OperationEnvironment, topic: string, range: OffsetRange): AsyncGenerator<Expected> {
  const { partition } = range;
  for await (const batches of scan(env, topic, [range])) {
    for (const record of batches.flatMap((batch) => batch.records)) {
      yield { offset: record.offset, record: asNewRecord({ partition, record }) };
    }
  }
}

export function writeManifest(directory: string, plan: ArchivePlan, files: readonly FileSum[]): void {
  const manifest: Manifest = { ...plan, files };
  writeDurably(manifestPath(directory, plan.topic), JSON.stringify(manifest, undefined, 2));
}

/** Throws OPERATION_REFUSED where there is none, or it is not ours. */
export function readManifest(directory: string, topic: string): Manifest {
  const path = manifestPath(directory, topic);
  if (!existsSync(path)) {
    throw new AppError(
      "OPERATION_REFUSED",
      `${path} is missing: the archive was not finished, or is another topic's (see --topic).`,
    );
  }
  const manifest = JSON.parse(readFileSync(path, "utf8")) as Manifest;
  if (manifest.version !== FORMAT_VERSION || manifest.topic !== topic) {
    throw new AppError(
      "OPERATION_REFUSED",
      `${path} has format ${manifest.version} of ${manifest.topic}; this program reads format ${FORMAT_VERSION}.`,
    );
  }
  return manifest;
}
