import { AppError } from "../errors.ts";
import type { Log, Watermarks } from "../log/log.ts";
import { compareRow } from "./compare-rows.ts";
import { FoldedPartition, type FoldedPartitionOptions } from "./folded-partition.ts";
import type { HeldPartition, OrderServiceClient, ServiceRow } from "./order-service-client.ts";

export interface AuditOptions extends Omit<FoldedPartitionOptions, "onRead"> {
  readonly log: Log;
  readonly services: readonly OrderServiceClient[];
  /** Compare row by row also where the digests agree. */
  readonly allRows: boolean;
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
  /** What differed before the partition was rebuilt. */
  readonly wasFixed?: readonly string[];
}

const DIFFERENCES_MAX = 20;
/** A partition that is on its way from one service to another has none, or two, for a moment. */
const HOLDER_TRIES_MAX = 20;
const HOLDER_WAIT_MS = 1_000;

/** Folds each partition again and compares it with what its order service holds. It changes nothing. */
export async function* audit(options: AuditOptions): AsyncGenerator<Finding> {
  const watermarks = await options.log.watermarks(options.topic);
  const total = watermarks.reduce((sum, { startOffset, endOffset }) => sum + endOffset - startOffset, 0);
  let read = 0;
  const onRead = (records: number) => options.progress((read += records), Math.max(total, read));
  for (const [partition, marks] of watermarks.entries()) yield await auditPartition(partition, marks, { ...options, onRead });
}

/** The same of one partition, for instance after it was rebuilt. */
export async function auditPartition(
  partition: number,
  { startOffset }: Watermarks,
  options: Omit<AuditOptions, "progress"> & FoldedPartitionOptions,
): Promise<Finding> {
  const holder = await findHolder(partition, options);
  const nothing = { partition, service: undefined, offset: undefined, orders: 0, deadLetters: 0, digest: undefined };
  if (typeof holder === "string") return { ...nothing, differences: [holder] };
  const { service, held } = holder;
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
    if (differences.length > 0 && startOffset > 0)
      differences.unshift(`the log begins at offset ${startOffset}: what was removed before it cannot be folded again`);
    return { ...about, differences };
  } catch (e) {
    if (!(e instanceof AppError)) throw e;
    return { ...nothing, service, offset: held.offset, differences: [e.message] };
  } finally {
    await folded.close();
  }
}

/** The one service that holds the partition and can be compared, or why there is none. */
async function findHolder(
  partition: number,
  { services, topic, clock }: Pick<AuditOptions, "services" | "topic" | "clock">,
): Promise<{ service: OrderServiceClient; held: HeldPartition } | string> {
  let why = "";
  for (let tries = 0; tries < HOLDER_TRIES_MAX; tries++) {
    const holders: { service: OrderServiceClient; held: HeldPartition }[] = [];
    for (const service of services) {
      const { topicName, partitions } = await service.partitions();
      if (topicName !== topic) return `${service.url} consumes ${topicName}, not ${topic}`;
      const held = partitions.find((one) => one.partition === partition);
      if (held) holders.push({ service, held });
    }
    const [only, ...others] = holders;
    if (only?.held.halted !== undefined) return `it is halted at ${only.service.url}: ${only.held.halted}`;
    if (only && others.length === 0 && only.held.digest !== undefined) return only;
    why = only
      ? others.length > 0
        ? `it is held by ${holders.map(({ service }) => service.url).join(" and ")}`
        : `it is ${only.held.state} at ${only.service.url} and has no digest yet`
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
