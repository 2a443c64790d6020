import type { Clock } from "../../system/clock.ts";
import { AppError } from "../../errors.ts";
import type { KnownTopic } from "../../log/read/comparing-reader.ts";
import type { Log, PartitionEnds } from "../../log/port.ts";
import { compareRow, onlyHeld } from "./compare-rows.ts";
import { FoldedPartition, type FoldedPartitionOptions } from "./folded-partition.ts";
import type { FindStart, StartState } from "./snapshot-start.ts";
import type { HeldPartition, OrderServiceClient, ServiceRow } from "./order-service-client.ts";

export interface AuditOptions extends Omit<FoldedPartitionOptions, "onRead" | "topic"> {
  readonly log: Log;
  readonly topic: string;
  readonly services: readonly OrderServiceClient[];
  /** Whether rows are compared one by one even where the digests agree. */
  readonly allRows: boolean;
  /** Finds what the log has lost since in a snapshot; absent if there is no storage of any. */
  readonly findStart?: FindStart | undefined;
  /** LOG_START=accept: that the log has lost its first records is then a note and not a difference. */
  readonly acceptsLateStart: boolean;
  /** Reports how many records have been read, and how many there are to read. */
  readonly onProgress: (read: number, total: number) => void;
}

/** What the audit found in one partition. */
export interface Finding {
  readonly partition: number;
  /** The service that tells of the partition; undefined where none does, or more than one holds it. */
  readonly service: OrderServiceClient | undefined;
  /** The URL of the service that holds it. */
  readonly holder: string | undefined;
  readonly offset: number | undefined;
  readonly orders: number;
  readonly deadLetters: number;
  readonly digest: string | undefined;
  /** At most DIFFERENCES_MAX sentences; empty where everything agrees. */
  readonly differences: readonly string[];
  /** Sentences for the reader that are not differences. */
  readonly notes: readonly string[];
  /** Whether the log can be folded again from its first record to the service's offset. */
  readonly canRebuild: boolean;
  /** What a rebuild would lose: a sentence on what only the rows have, or what the log may soon drop. */
  readonly losses: string | undefined;
  /** The differences before the partition was rebuilt. */
  readonly wasFixed?: readonly string[];
}

const DIFFERENCES_MAX = 20;
/** A partition that moves from one service to another is held by none, or by two, for a moment. */
const HOLDER_TRIES_MAX = 20;
const HOLDER_WAIT_MS = 1_000;

/** Folds each partition again and compares the result with what its order service holds. It changes nothing. */
export async function* audit(options: AuditOptions): AsyncGenerator<Finding> {
  const { log, topic: name, onProgress } = options;
  const { topicId, partitions } = await log.ends(name);
  const total = partitions.reduce((sum, ends) => sum + ("unavailable" in ends ? 0 : ends.endOffset - ends.startOffset), 0);
  let read = 0;
  const onRead = (records: number) => onProgress((read += records), Math.max(total, read));
  const topic = { name, topicId };
  const description = await log.describe(name).catch(() => undefined);
  const policy = description?.settings["cleanup.policy"];
  for (const [partition, ends] of partitions.entries())
    yield await auditPartition(partition, ends, { ...options, topic, policy, onRead });
}

/** Audits one partition, for instance after it was rebuilt. */
export async function auditPartition(
  partition: number,
  ends: PartitionEnds,
  options: Omit<AuditOptions, "onProgress" | "topic"> & FoldedPartitionOptions & { readonly policy?: string | undefined },
): Promise<Finding> {
  const nothing = {
    partition,
    service: undefined,
    holder: undefined,
    offset: undefined,
    orders: 0,
    deadLetters: 0,
    digest: undefined,
    notes: [],
    canRebuild: false,
    losses: undefined,
  };
  if ("unavailable" in ends) return { ...nothing, differences: [`the log does not give it now: ${ends.unavailable}`] };
  const holder = await findHolder(partition, options);
  if (typeof holder === "string") return { ...nothing, differences: [holder] };
  const { service, held, url } = holder;
  const { startOffset } = ends;
  const start = startOffset === 0 ? undefined : await findStart(partition, held, options);
  const from = start?.nextOffset ?? startOffset;
  const folded = new FoldedPartition(partition, from, options);
  for (const order of start?.orders ?? []) folded.fold.orders.set(order.orderId, order);
  try {
    await folded.to(held.offset);
    const { fold } = folded;
    const digest = fold.digest();
    const orders = [...fold.orders.values()].filter(({ order }) => order !== undefined).length;
    const about = { partition, service, holder: url, offset: held.offset, orders, deadLetters: fold.deadLetters, digest };
    const agrees = digest === held.digest;
    const compared = agrees && !options.allRows ? NOTHING_COMPARED : await compareRows(partition, service, folded);
    const differences = [...compared.differences];
    if (!agrees && differences.length === 0)
      differences.push(
        `its digest is ${held.digest} and should be ${digest}, though its rows agree: the digest it keeps is wrong`,
      );
    const notes = standingOf(url, held);
    const missing = missingBefore(start?.firstOffset ?? startOffset, held, options.topic.name);
    if (start !== undefined)
      notes.push(
        `the log begins at offset ${startOffset}; what came before offset ${from} is taken from the snapshot ${start.name}`,
      );
    // Rows that nobody can fold again cannot be called right, unless the operator accepts a late start.
    if (missing !== undefined) (differences.length > 0 || !options.acceptsLateStart ? differences : notes).unshift(missing);
    const policy = options.policy?.includes("compact") ? options.policy : undefined;
    const gap = gapAtStart(from, folded, policy);
    const lost = lostByLog(compared, gap ?? compactedBy(policy));
    if (lost !== undefined) differences.unshift(lost);
    else if (gap !== undefined) notes.push(gap);
    return { ...about, differences, notes, canRebuild: missing === undefined, losses: lost ?? compactedBy(policy) };
  } catch (e) {
    if (!(e instanceof AppError)) throw e;
    return { ...nothing, service, holder: url, offset: held.offset, differences: [e.message] };
  } finally {
    await folded.close();
  }
}

async function findStart(
  partition: number,
  held: HeldPartition,
  options: Pick<AuditOptions, "log" | "findStart"> & FoldedPartitionOptions,
): Promise<StartState | undefined> {
  return options.findStart?.(partition, await options.log.ends(options.topic.name), held.offset);
}

/**
 * A sentence on the records that the log has lost or its holder never had; undefined where both have the first one.
 */
function missingBefore(startOffset: number, { startedAt = 0 }: HeldPartition, topic: string): string | undefined {
  if (startOffset === 0 && startedAt === 0) return undefined;
  const first = Math.max(startOffset, startedAt);
  const began = startedAt > 0 ? `it was folded from offset ${startedAt} on, and ` : "";
  return `${began}the log begins at offset ${startOffset}: what ${topic} had before offset ${first} is missing and cannot be compared`;
}

/** A sentence on the gap between the log's start offset and its first record; undefined where there is no gap. */
const gapAtStart = (
  startOffset: number,
  { firstRecord, offset }: FoldedPartition,
  policy: string | undefined,
): string | undefined => {
  if ((firstRecord ?? offset) === startOffset) return undefined;
  const why = policy === undefined ? "they were compacted away, or are of a transaction that was aborted" : compactedBy(policy);
  return `the log begins at offset ${startOffset}, and has no record before offset ${firstRecord ?? offset}: ${why}`;
};

const compactedBy = (policy: string | undefined): string | undefined =>
  policy === undefined
    ? undefined
    : `the topic is compacted (cleanup.policy=${policy}), so a record goes once a later one has its key`;

/** A sentence that the rows have more than the log, so that the log cannot be trusted; undefined where they do not. */
const lostByLog = ({ ordersOnlyHeld, eventsOnlyHeld }: Compared, how: string | undefined): string | undefined => {
  if (ordersOnlyHeld === 0 && eventsOnlyHeld === 0) return undefined;
  const more = `the state has ${counted(ordersOnlyHeld, "order")} and ${counted(eventsOnlyHeld, "event")} that the log does not have`;
  return `${more}: the log has lost records, or the state was changed by hand${how === undefined ? "" : `; ${how}`}`;
};

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`;

/** A note on why the holder does not go on now, although what it has can be compared. */
const standingOf = (url: string, { state, reason, halted }: HeldPartition): string[] => {
  const why = reason ?? halted;
  return why === undefined ? [] : [`it is ${state} at ${url}: ${why}`];
};

interface Holder {
  /** The service that told of it, which passes on what it is asked. */
  readonly service: OrderServiceClient;
  readonly held: HeldPartition;
  /** The URL of the service that holds it. */
  readonly url: string;
}

/**
 * Finds the one service that holds the partition and can be compared; resolves with a sentence where there is none.
 */
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
    const found = new Map<string, Holder>();
    for (const service of services) {
      const { topicName, partitions } = await service.partitions();
      if (topicName !== topic.name) return `${service.url} consumes ${topicName}, not ${topic.name}`;
      for (const held of partitions.filter((one) => one.partition === partition)) {
        const url = held.owner ?? service.url;
        // Who holds it tells it best.
        if (!found.has(url) || url === service.url) found.set(url, { service, held, url });
      }
    }
    const [only, ...others] = found.values();
    if (only?.held.halted !== undefined) return `it is halted at ${only.url}: ${only.held.halted}`;
    if (only && others.length === 0 && only.held.digest !== undefined) return only;
    why = only
      ? others.length > 0
        ? `it is held by ${[...found.keys()].join(" and ")}`
        : `it is ${only.held.state} at ${only.url} and has no digest yet${only.held.reason === undefined ? "" : `: ${only.held.reason}`}`
      : "no service that was asked holds it";
    await clock.sleep(HOLDER_WAIT_MS);
  }
  return why;
}

/** How a partition's rows differ, and how many orders and events only they have. */
interface Compared {
  readonly differences: readonly string[];
  readonly ordersOnlyHeld: number;
  readonly eventsOnlyHeld: number;
}

const NOTHING_COMPARED: Compared = { differences: [], ordersOnlyHeld: 0, eventsOnlyHeld: 0 };

/**
 * Compares row by row, a page at a time. The service goes on applying meanwhile, so the reference is folded on to each
 * page's offset; an order that is new since the start is compared when its page comes.
 */
async function compareRows(partition: number, service: OrderServiceClient, folded: FoldedPartition): Promise<Compared> {
  const { orders: expected } = folded.fold;
  const ids = [...expected.keys()].toSorted();
  const differences: string[] = [];
  let found = 0;
  let ordersOnlyHeld = 0;
  let eventsOnlyHeld = 0;
  const take = (more: readonly string[]) => {
    found += more.length;
    differences.push(...more.slice(0, Math.max(0, DIFFERENCES_MAX - differences.length)));
  };
  let next = 0;
  for (let after: string | undefined = ""; after !== undefined;) {
    const { offset, orders } = await service.rows(partition, after);
    await folded.follow(offset);
    const rows = new Map<string, ServiceRow>(orders.map((row) => [row.orderId, row]));
    for (const row of orders) {
      const { isOrder, events } = onlyHeld(row, expected.get(row.orderId));
      if (isOrder) ordersOnlyHeld++;
      eventsOnlyHeld += events;
    }
    after = orders.at(-1)?.orderId;
    const isInPage = pageEndingAt(after);
    for (let id = ids[next]; id !== undefined && isInPage(id); id = ids[++next]) {
      take(compareRow(id, rows.get(id), expected.get(id)));
      rows.delete(id);
    }
    for (const row of rows.values()) take(compareRow(row.orderId, row, expected.get(row.orderId)));
  }
  if (found > differences.length) differences.push(`and ${found - differences.length} more differences`);
  return { differences, ordersOnlyHeld, eventsOnlyHeld };
}

/**
 * Whether an id belongs to the page that ends with `last`. The empty page is the end, and every id left belongs to it.
 */
const pageEndingAt =
  (last: string | undefined) =>
  (id: string): boolean =>
    last === undefined || id <= last;
