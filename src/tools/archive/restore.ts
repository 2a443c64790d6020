import { AppError, isAppError } from "../../errors.ts";
import { formatLogPosition } from "../../log/log-position.ts";
import type { KnownTopic } from "../../log/read/comparing-reader.ts";
import type { IdempotentProducer, NewRecord } from "../../log/port.ts";
import { appendPart, type Outgoing, parts } from "../move/append-parts.ts";
import { type ArchiveFile, ArchiveFiles, type FileSum } from "./archive-files.ts";
import { type ArchivedRecord, asNewRecord } from "./archive-line.ts";
import { readManifest, type ReadManifest } from "./archive-manifest.ts";
import { type Arrived, comparePartition, type Expected, type PartitionComparison } from "../compare/comparison.ts";
import type { OperationEnvironment } from "../environment.ts";
import { type Extent, ExtentSoFar } from "../scan/extent.ts";
import type { Console } from "../terminal/progress.ts";
import type { Rate } from "../terminal/rate.ts";
import { recordDifference, type Strictness } from "../compare/record-difference.ts";
import { interrupted, scan } from "../scan/scan.ts";
import { records as recordsOf } from "../terminal/table.ts";
import { batchBytesMax, prepareTarget } from "../scan/target.ts";
import { retryOutage, sameTopic, type TopicNow } from "../scan/topics.ts";

/** An archive whose files were checked against its manifest. */
export interface Archive {
  readonly manifest: ReadManifest;
  readonly files: ArchiveFiles;
  readonly byPartition: ReadonlyMap<number, readonly ArchiveFile[]>;
  readonly records: number;
  readonly extent: Extent;
}

const INSTEAD = ". Put a good copy of it back, or archive the topic again into another --dir";

/** Checks every file against the manifest. Throws OPERATION_REFUSED where a file is missing, damaged or not listed. */
export async function openArchive(console: Console, directory: string, topic: string): Promise<Archive> {
  const manifest = readManifest(directory, topic);
  const files = new ArchiveFiles(directory, topic);
  const byPartition = files.byPartition();
  const there = new Map([...byPartition.values()].flat().map((file) => [file.name, file]));
  const refuse = (why: string) =>
    new AppError("OPERATION_REFUSED", `The archive ${directory} is not what its manifest says: ${why}.`);
  const counts = new Map<number, number>();
  const total = manifest.partitions.reduce((sum, { matching }) => sum + matching, 0);
  const progress = console.progress("checking the files", total);
  const extent = new ExtentSoFar();
  let records = 0;
  for (const expected of manifest.files) {
    const file = there.get(expected.name);
    if (!file) throw refuse(`${expected.name} is missing${INSTEAD}`);
    there.delete(expected.name);
    // The checksum comes before the records, in which damage could look like anything.
    if ((await files.sha256(file)) !== expected.sha256)
      throw refuse(`${expected.name} is damaged or was changed, as its checksum is another one${INSTEAD}`);
    let sum: FileSum | undefined;
    for await (const { record, partition } of files.records(file, (found) => (sum = found))) extent.add(record, partition);
    if (sum?.records !== expected.records)
      throw refuse(`${expected.name} has ${recordsOf(sum?.records ?? 0)}, not ${expected.records}`);
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
  return { manifest, files, byPartition, records, extent };
}

/** Reads one partition's records in order, without the first `skip`. */
async function* archivedIn({ files, byPartition }: Archive, partition: number, skip = 0): AsyncGenerator<ArchivedRecord> {
  let n = 0;
  for (const file of byPartition.get(partition) ?? [])
    for await (const archived of files.records(file)) if (n++ >= skip) yield archived;
}

/**
 * Creates the target where it is missing, and counts the records that an interrupted run has already written to each
 * partition. Throws OPERATION_REFUSED where the target holds anything else: appending to that would not be safe.
 */
export async function prepareRestore(
  env: OperationEnvironment,
  console: Console,
  archive: Archive,
  target: string,
  headersInOrder: boolean,
): Promise<RestoreTarget> {
  const { manifest, extent } = archive;
  const cargo = { partitions: manifest.partitions.length, extent, source: undefined };
  const topic = await prepareTarget(env, console, target, cargo);
  return { topic, already: await countHeld(env, archive, topic, { headersInOrder, timestamp: true }) };
}

export interface RestoreTarget {
  readonly topic: KnownTopic;
  /** The number of the archive's records that each partition holds already. */
  readonly already: readonly number[];
}

async function countHeld(
  env: OperationEnvironment,
  archive: Archive,
  target: TopicNow,
  strictness: Strictness,
): Promise<number[]> {
  const refuse = (what: string) =>
    new AppError("OPERATION_REFUSED", `${target.name} ${what} what the archive has: give another --target, a new one.`);
  const counts: number[] = [];
  for (const [partition, { startOffset, endOffset }] of target.marks.entries()) {
    if (startOffset > 0) throw refuse("has lost records, and so cannot be compared with");
    const archived = archivedIn(archive, partition);
    let count = 0;
    for await (const batches of scan(env, target, [{ partition, from: 0, to: endOffset }])) {
      for (const record of batches.flatMap((batch) => batch.records)) {
        const { value } = (await archived.next()) as { value: ArchivedRecord | undefined };
        const isSame = value && !record.undecodable && recordDifference(asNewRecord(value), record, strictness).length === 0;
        if (!isSame) throw refuse(`holds at ${formatLogPosition({ partition, offset: record.offset })} another record than`);
        count++;
      }
    }
    counts[partition] = count;
  }
  return counts;
}

/**
 * Appends what is missing, partition by partition. Its producer does not fence, since transaction markers would shift
 * offsets that can otherwise equal those of the archive.
 */
export async function restoreDirectly(
  env: OperationEnvironment,
  console: Console,
  archive: Archive,
  { topic, already }: RestoreTarget,
  rate: Rate,
): Promise<void> {
  const bytes_max = batchBytesMax(await env.log.describe(topic.name));
  const appender = new RetryingAppender(env, topic.name);
  let done = already.reduce((sum, count) => sum + count, 0);
  const progress = console.progress(`to ${topic.name}`, archive.records, done);
  try {
    for (const { partition } of archive.manifest.partitions) {
      const left = outgoing(archivedIn(archive, partition, already[partition]));
      for await (const part of parts(left, rate.records_at_once, bytes_max)) {
        await rate.take(part.length, env.signal);
        if (env.signal.aborted) throw interrupted();
        await appendPart((records) => appender.append(records), topic.name, part);
        progress.show((done += part.length));
      }
    }
  } finally {
    progress.end();
    await appender.close();
  }
}

async function* outgoing(archived: AsyncIterable<ArchivedRecord>): AsyncGenerator<Outgoing> {
  for await (const one of archived) {
    yield { from: { partition: one.partition, offset: one.record.offset }, record: asNewRecord(one) };
  }
}

/** The longest wait for the log to take a batch. */
const APPEND_MS_MAX = 120_000;

/**
 * Appends through outages.
 *
 * ```
 *  open ──append() refused as too large──▶ open, with a new producer ──close()──▶ closed
 * ```
 */
class RetryingAppender {
  #producer: IdempotentProducer;

  constructor(
    private readonly env: OperationEnvironment,
    private readonly target: string,
  ) {
    this.#producer = env.log.producer();
  }

  /** LOG_UNAVAILABLE guarantees that none of the records is or will be in the log, so the append can be retried. */
  async append(records: readonly NewRecord[]): Promise<void> {
    const { env, target } = this;
    const deadline_ms = env.clock.now_ms() + APPEND_MS_MAX;
    try {
      await retryOutage(env, APPEND_MS_MAX, () => this.#producer.append(target, records, deadline_ms));
    } catch (e) {
      if (isAppError(e, "EVENT_TOO_LARGE")) await this.#renew();
      throw e;
    }
  }

  close(): Promise<void> {
    return this.#producer.close();
  }

  /** Replaces the producer: the one that was refused must not send those records again. */
  async #renew(): Promise<void> {
    await this.#producer.close();
    this.#producer = this.env.log.producer();
  }
}

/** Compares the target with the archive, the n-th record of each partition with the n-th. */
export async function compareRestore(
  env: OperationEnvironment,
  console: Console,
  archive: Archive,
  target: KnownTopic,
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
    for await (const archived of archivedIn(archive, partition)) yield { offset: n++, record: asNewRecord(archived) };
  };
  try {
    for (const [partition, { endOffset }] of (await sameTopic(env, target)).marks.entries()) {
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
  await sameTopic(env, target);
  return compared;
}
