import type { Clock } from "../clock.ts";
import { AppError } from "../errors.ts";
import type { KnownTopic } from "../log/comparing-reader.ts";
import type { Log, PartitionEnds } from "../log/log.ts";
import { compareRow } from "./compare-rows.ts";
import { FoldedPartition, type FoldedPartitionOptions } from "./folded-partition.ts";
import type { HeldPartition, OrderServiceClient, ServiceRow } from "./order-service-client.ts";

export interface AuditOptions extends Omit<FoldedPartitionOptions, "onRead" | "topic"> {
  readonly log: Log;
  readonly topic: string;
  readonly services: readonly OrderServiceClient[];
  /** Compare row by row also where the digests agree. */
  readonly allRows: boolean;
  /** LOG_START=accept: that the log has lost its first records is said, and is no difference. */
  readonly acceptsLateStart: boolean;
  /** Told of records read, of all that are to be. */
  readonly progress: (read: number, total: number) => void;
}

/** What was found of one partition. */
export interface Finding {
  readonly partition: number;
  /** Who holds it; undefined where not exactly one service does. */
  readonly service: OrderServiceClient | undefined;
  readonly offset: number | undefined;
  readonly orders: number;
  readonly deadLetters: number;
  readonly digest: string | undefined;
  /** Sentences, at most DIFFERENCES_MAX of them; none where all agrees. */
  readonly differences: readonly string[];
  /** Sentences that are no difference. */
  readonly notes: readonly string[];
  /** Whether the log has all that the partition's rows are made of: else a rebuild would lose what only they have. */
  readonly canRebuild: boolean;
  /** What differed before the partition was rebuilt. */
  readonly wasFixed?: readonly string[];
}

const DIFFERENCES_MAX = 20;
/** A partition that is on its way from one service to another has none, or two, for a moment. */
const HOLDER_TRIES_MAX = 20;
const HOLDER_WAIT_MS = 1_000;

/** Folds each partition again and compares it with what its order service holds. It changes nothing. */
export async function* audit(options: AuditOptions): AsyncGenerator<Finding> {
  const { log, topic: name, progress } = options;
  const { topicId, partitions } = await log.ends(name);
  const total = partitions.reduce((sum, ends) => sum + ("unavailable" in ends ? 0 : ends.endOffset - ends.startOffset), 0);
  let read = 0;
  const onRead = (records: number) => progress((read += records), Math.max(total, read));
  const topic = { name, topicId };
  for (const [partition, ends] of partitions.entries())
    yield await auditPartition(partition, ends, { ...options, topic, onRead });
}

/** The same of one partition, for instance after it was rebuilt. */
export async function auditPartition(
  partition: number,
  ends: PartitionEnds,
  options: Omit<AuditOptions, "progress" | "topic"> & FoldedPartitionOptions,
): Promise<Finding> {
  const nothing = {
    partition,
    service: undefined,
    offset: undefined,
    orders: 0,
    deadLetters: 0,
    digest: undefined,
    notes: [],
    canRebuild: false,
  };
  if ("unavailable" in ends) return { ...nothing, differences: [`the log does not give it now: ${ends.unavailable}`] };
  const holder = await findHolder(partition, options);
  if (typeof holder === "string") return { ...nothing, differences: [holder] };
  const { service, held } = holder;
  const { startOffset } = ends;
  const folded = new FoldedPartition(partition, startOffset, options);
  try {
    await folded.to(held.offset);
    const { fold } = folded;
    const digest = fold.digest();
    const about = { partition, service, offset: held.offset, orders: fold.orders.size, deadLetters: fold.deadLetters, digest };
    const agrees = digest === held.digest;
    const differences = agrees && !options.allRows ? [] : await compareRows(partition, service, folded);
    if (!agrees && differences.length === 0)
      differences.push(
        `its digest is ${held.digest} and should be ${digest}, though its rows agree: the digest it keeps is wrong`,
      );
    const notes = standingOf(service, held);
    const missing = missingBefore(startOffset, held, options.topic.name);
    // What nobody can fold again, nobody can call right, unless the operator has said that it is to be taken as it is.
    if (missing !== undefined) (differences.length > 0 || !options.acceptsLateStart ? differences : notes).unshift(missing);
    return { ...about, differences, notes, canRebuild: missing === undefined };
  } catch (e) {
    if (!(e instanceof AppError)) throw e;
    return {
      ...nothing,
      service,
      offset: held.offset,
      differences: [e.message],
      canRebuild: startOffset === 0 && e.code !== "LOG_UNAVAILABLE",
    };
  } finally {
    await folded.close();
  }
}

/** What the log does not have any more, or its holder never had; undefined where both go back to the first record. */
function missingBefore(startOffset: number, { startedAt = 0 }: HeldPartition, topic: string): string | undefined {
  if (startOffset === 0 && startedAt === 0) return undefined;
  const first = Math.max(startOffset, startedAt);
  const began = startedAt > 0 ? `it was folded from offset ${startedAt} on, and ` : "";
  return `${began}the log begins at offset ${startOffset}: what ${topic} had before offset ${first} is missing and cannot be compared`;
}

/** Why the holder does not go on now, although what it has can be compared. */
const standingOf = ({ url }: OrderServiceClient, { state, reason, halted }: HeldPartition): string[] => {
  const why = reason ?? halted;
  return why === undefined ? [] : [`it is ${state} at ${url}: ${why}`];
};

type Holder = { readonly service: OrderServiceClient; readonly held: HeldPartition };

/** The one service that holds the partition and can be compared, or why there is none. */
async function findHolder(
  partition: number,
  {
    services,
    topic,
    clock,
  }: { readonly services: readonly OrderServiceClient[]; readonly topic: KnownTopic; readonly clock: Clock },
): Promise<Holder | string> {
  let why = "";
  for (let tries = 0; tries < HOLDER_TRIES_MAX; tries++) {
    const holders: Holder[] = [];
    for (const service of services) {
      const { topicName, partitions } = await service.partitions();
      if (topicName !== topic.name) return `${service.url} consumes ${topicName}, not ${topic.name}`;
      const held = partitions.find((one) => one.partition === partition);
      if (held) holders.push({ service, held });
    }
    const [only, ...others] = holders;
    if (only?.held.halted !== undefined) return `it is halted at ${only.service.url}: ${only.held.halted}`;
    if (only && others.length === 0 && only.held.digest !== undefined) return only;
    why = only
      ? others.length > 0
        ? `it is held by ${holders.map(({ service }) => service.url).join(" and ")}`
        : `it is ${only.held.state} at ${only.service.url} and has no digest yet${only.held.reason === undefined ? "" : `: ${only.held.reason}`}`
      : "no service that was asked holds it";
    await clock.sleep(HOLDER_WAIT_MS);
  }
  return why;
}

/**
 * Row by row, a page at a time. The service goes on meanwhile, so the reference is folded on to each page's offset; orders that are new
 * since then are compared where they turn up.
 */
async function compareRows(partition: number, service: OrderServiceClient, folded: FoldedPartition): Promise<string[]> {
  const { orders: expected } = folded.fold;
  const ids = [...expected.keys()].toSorted();
  const differences: string[] = [];
  let found = 0;
  const take = (more: readonly string[]) => {
    found += more.length;
    differences.push(...more.slice(0, Math.max(0, DIFFERENCES_MAX - differences.length)));
  };
  let next = 0;
  for (let after: string | undefined = ""; after !== undefined;) {
    const { offset, orders } = await service.rows(partition, after);
    await folded.follow(offset);
    const rows = new Map<string, ServiceRow>(orders.map((row) => [row.orderId, row]));
    after = orders.at(-1)?.orderId;
    const isInPage = pageEndingAt(after);
    for (let id = ids[next]; id !== undefined && isInPage(id); id = ids[++next]) {
      take(compareRow(id, rows.get(id), expected.get(id)));
      rows.delete(id);
    }
    for (const row of rows.values()) take(compareRow(row.orderId, row, expected.get(row.orderId)));
  }
  if (found > differences.length) differences.push(`and ${found - differences.length} differences more`);
  return differences;
}

/** Whether an id lies in the page with this last id; all do where the page is empty, which is the end. */
const pageEndingAt =
  (last: string | undefined) =>
  (id: string): boolean =>
    last === undefined || id <= last;
