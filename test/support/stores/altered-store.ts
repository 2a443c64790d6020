import { readdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { LogRecord } from "../../../src/log/port.ts";
import { openSqliteLog } from "../../../src/log/sqlite/sqlite-log.ts";
import { StateDir } from "../../../src/runtime/store/state-dir.ts";
import { PartitionStore } from "../../../src/runtime/store/store.ts";
import { ORDER_SERVICE_PROJECTIONS } from "../../../src/services/orders/slices.ts";
import { systemClock } from "../../../src/system/clock.ts";
import { committedRecords } from "../events/records.ts";
import { openedFiles } from "./opened-files.ts";
import { saveAt } from "./save-at.ts";
import { withoutGenerations } from "./without-generations.ts";

export interface Alteration {
  /** The path of a partition's store in an order service's directory. The service must not run. */
  readonly path: string;
  readonly topic: string;
  readonly partition: number;
  /** The path of the embedded log. */
  readonly logPath: string;
  /** The records to fold in place of each record of the log. */
  readonly alter: (record: LogRecord) => readonly LogRecord[];
  /** Whether the store says that it has the digest of the log all the same. */
  readonly keepsDigest?: boolean;
}

/**
 * Puts a store in the place of another, at the same position, that was folded from altered records: as if the program
 * had folded them wrongly, or the disk had exchanged rows for others that are whole.
 */
export async function alterStore({ path, topic, partition, logPath, alter, keepsDigest = false }: Alteration): Promise<void> {
  const directory = dirname(path);
  const logId = basename(dirname(directory));
  const newUuid = () => crypto.randomUUID();
  const state = StateDir.claim(dirname(dirname(dirname(directory))), logId, "order-service", { newUuid });
  const identity = { logId, topic, partition };
  const open = () => {
    const files = openedFiles(state.open(basename(path), ORDER_SERVICE_PROJECTIONS, identity));
    return { files, store: new PartitionStore(files, ORDER_SERVICE_PROJECTIONS, partition, () => files.close()) };
  };
  const before = open().store;
  const { nextOffset = 0, last, topicId, firstOffset, projections } = before;
  const { digest = "" } = projections;
  before.close();
  for (const name of readdirSync(directory)) if (name.startsWith(basename(path))) rmSync(join(directory, name));
  const { files, store } = open();
  Object.assign(store, { topicId, firstOffset });
  for (const record of await recordsOf(logPath, topic, partition))
    if (record.offset < nextOffset) for (const one of alter(record)) store.projections.fold(one);
  store.last = last;
  await saveAt(store, nextOffset);
  if (keepsDigest) {
    files.db.run("UPDATE totals SET digest = ?", [Number.parseInt(digest, 16)]);
    withoutGenerations(files.db);
  }
  store.close();
  state.release();
}

async function recordsOf(path: string, topic: string, partition: number): Promise<LogRecord[]> {
  const log = openSqliteLog({ path, clock: systemClock, newUuid: () => crypto.randomUUID(), owner: "test" });
  const records: LogRecord[] = [];
  for await (const { partition: of, record } of committedRecords(log, topic)) if (of === partition) records.push(record);
  await log.close();
  return records;
}
