import { AppError, isAppError } from "../errors.ts";
import { Backoff } from "../log/backoff.ts";
import type { NewRecord, Producer } from "../log/log.ts";
import { type Manifest, readManifest } from "./archive.ts";
import { ArchiveFiles } from "./archive-files.ts";
import { type ArchivedRecord, asNewRecord } from "./archive-line.ts";
import { type Arrived, comparePartition, type Expected, type PartitionComparison } from "./comparison.ts";
import { parts } from "./direct-mover.ts";
import type { OperationEnvironment } from "./environment.ts";
import type { Console } from "./progress.ts";
import type { Rate } from "./rate.ts";
import { recordDifference, type Strictness } from "./record-difference.ts";
import { interrupted, scan } from "./scan.ts";
import { records as recordsOf } from "./table.ts";
import { prepareTarget } from "./target.ts";

/** An archive that was found whole. */
export interface Archive {
  readonly manifest: Manifest;
  readonly files: ArchiveFiles;
  readonly records: number;
}

/** Reads every file and holds it to the manifest. Throws OPERATION_REFUSED where one is missing, damaged or too much. */
export function openArchive(console: Console, directory: string, topic: string): Archive {
  const manifest = readManifest(directory, topic);
  const files = new ArchiveFiles(directory, topic);
  const there = new Map(files.list().map((file) => [file.name, file]));
  const refuse = (why: string) =>
    new AppError("OPERATION_REFUSED", `The archive ${directory} is not what its manifest says: ${why}.`);
  const counts = new Map<number, number>();
  const total = manifest.partitions.reduce((sum, { matching }) => sum + matching, 0);
  const progress = console.progress("checking the files", total);
  let records = 0;
  for (const expected of manifest.files) {
    const file = there.get(expected.name);
    if (!file) throw refuse(`${expected.name} is missing`);
    there.delete(expected.name);
    const { sum } = files.read(file);
    if (sum.sha256 !== expected.sha256 || sum.records !== expected.records) throw refuse(`${expected.name} is another file`);
    counts.set(file.partition, (counts.get(file.partition) ?? 0) + sum.records);
    progress.show((records += sum.records));
  }
  progress.end();
  const [extra] = there.keys();
  if (extra !== undefined) throw refuse(`${extra} is not in it`);
  for (const { partition, matching } of manifest.partitions) {
    const count = counts.get(partition) ?? 0;
    if (count !== matching) throw refuse(`partition ${partition} has ${recordsOf(count)}, not ${matching}`);
  }
  return { manifest, files, records };
}

/** Of one partition, in order, a file at a time. */
function* archivedIn({ files }: Archive, partition: number): Generator<ArchivedRecord> {
  for (const file of files.list()) if (file.partition === partition) yield* files.read(file).records;
}

/**
 * Makes the target where it is missing, and finds how many records of the archive each partition holds already: those of an interrupted
 * run. Throws OPERATION_REFUSED where it holds anything else; to begin anew is safe, to append to something else is not.
 */
export async function prepareRestore(
  env: OperationEnvironment,
  archive: Archive,
  target: string,
  headersInOrder: boolean,
): Promise<number[]> {
  await prepareTarget(env, target, archive.manifest.partitions.length);
  return held(env, archive, target, { headersInOrder, timestamp: true });
}

async function held(env: OperationEnvironment, archive: Archive, target: string, strictness: Strictness): Promise<number[]> {
  const refuse = (what: string) =>
    new AppError("OPERATION_REFUSED", `${target} ${what} what the archive has: give another --target, a new one.`);
  const counts: number[] = [];
  for (const { partition, startOffset, endOffset } of await watermarksOf(env, target)) {
    if (startOffset > 0) throw refuse("has lost records, and so cannot be compared with");
    const archived = archivedIn(archive, partition);
    let count = 0;
    for await (const batches of scan(env, target, [{ partition, from: 0, to: endOffset }])) {
      for (const record of batches.flatMap((batch) => batch.records)) {
        const value = archived.next().value as ArchivedRecord | undefined;
        const isSame = value && recordDifference(asNewRecord(value), record, strictness).length === 0;
        if (!isSame) throw refuse(`holds at ${partition}:${record.offset} another record than`);
        count++;
      }
    }
    counts[partition] = count;
  }
  return counts;
}

async function watermarksOf({ log }: OperationEnvironment, topic: string) {
  return (await log.watermarks(topic)).map((watermarks, partition) => ({ partition, ...watermarks }));
}

/**
 * Appends what is missing, partition by partition. Its producer is no fencing one: that would leave transactions' markers, and the
 * offsets would not be those of the archive even where they could be.
 */
export async function restoreDirectly(
  env: OperationEnvironment,
  console: Console,
  archive: Archive,
  target: string,
  already: readonly number[],
  rate: Rate,
): Promise<void> {
  const producer = env.log.producer();
  let done = already.reduce((sum, count) => sum + count, 0);
  const progress = console.progress(`to ${target}`, archive.records, done);
  try {
    for (const { partition } of archive.manifest.partitions) {
      let skip = already[partition] ?? 0;
      for (const file of archive.files.list().filter((one) => one.partition === partition)) {
        const { records } = archive.files.read(file);
        const left = records.slice(skip).map(asNewRecord);
        skip = Math.max(0, skip - records.length);
        for (const part of parts(left, rate.records_at_once)) {
          await rate.take(part.length, env.signal);
          if (env.signal.aborted) throw interrupted();
          await appendPatiently(env, producer, target, part);
          progress.show((done += part.length));
        }
      }
    }
  } finally {
    progress.end();
    await producer.close();
  }
}

/** Longest wait for the log to take a batch. */
const APPEND_MS_MAX = 120_000;

/** LOG_UNAVAILABLE says that none of it is or will be in the log, so it can be tried again. */
async function appendPatiently(
  env: OperationEnvironment,
  producer: Producer,
  target: string,
  part: readonly NewRecord[],
): Promise<void> {
  const { clock, random, signal } = env;
  const backoff = new Backoff(env.backoff, random);
  for (const deadline_ms = clock.now_ms() + APPEND_MS_MAX; ;) {
    try {
      await producer.append(target, part, deadline_ms);
      return;
    } catch (e) {
      if (signal.aborted) throw interrupted();
      if (!isAppError(e, "LOG_UNAVAILABLE") || clock.now_ms() > deadline_ms) throw e;
      await clock.sleep(backoff.next_ms(), signal);
    }
  }
}

/** Compares the target with the archive, record by record: the n-th of a partition with the n-th. */
export async function compareRestore(
  env: OperationEnvironment,
  console: Console,
  archive: Archive,
  target: string,
  headersInOrder: boolean,
): Promise<PartitionComparison[]> {
  const compared: PartitionComparison[] = [];
  const progress = console.progress("comparing", archive.records);
  let done = 0;
  const arrivedIn = async function* (partition: number, to: number): AsyncGenerator<Arrived> {
    let n = 0;
    for await (const batches of scan(env, target, [{ partition, from: 0, to }])) {
      for (const record of batches.flatMap((batch) => batch.records)) yield { record, origin: { partition, offset: n++ } };
      progress.show((done += batches.reduce((sum, { records }) => sum + records.length, 0)));
    }
  };
  const expectedIn = async function* (partition: number): AsyncGenerator<Expected> {
    let n = 0;
    for (const archived of archivedIn(archive, partition)) yield { offset: n++, record: asNewRecord(archived) };
  };
  try {
    for (const { partition, endOffset } of await watermarksOf(env, target)) {
      compared.push(
        await comparePartition({
          partition,
          fromOffset: 0,
          toOffset: archive.manifest.partitions[partition]?.matching ?? 0,
          expected: () => expectedIn(partition),
          arrived: arrivedIn(partition, endOffset),
          strictness: { headersInOrder, timestamp: true },
          mayRepeat: () => false,
        }),
      );
    }
  } finally {
    progress.end();
  }
  return compared;
}
