import { systemClock } from "../../../src/system/clock.ts";
import { AppError } from "../../../src/errors.ts";
import type { LogRecord } from "../../../src/log/port.ts";
import type { OrderEvent } from "../../../src/orders/events/kinds.ts";
import type { Projections } from "../../../src/runtime/projections.ts";
import { openDatabase } from "../../../src/runtime/store/store-file.ts";
import { PartitionStore } from "../../../src/runtime/store/store.ts";
import { indexProjection } from "../../../src/services/cart/index/index-projection.ts";
import { OwnCreates } from "../../../src/services/cart/index/own-creates.ts";
import { cartProjections } from "../../../src/services/cart/projections.ts";
import { ORDER_SERVICE_PROJECTIONS } from "../../../src/services/orders/slices.ts";
import { EXIT_USAGE } from "../../../src/tools/command.ts";
import { runState } from "../../../src/tools/state/state-command.ts";
import { logRecordOf } from "../../support/events/orders.ts";
import { openedFiles } from "../../support/stores/opened-files.ts";
import { saveAt } from "../../support/stores/save-at.ts";
import { placingIn } from "../../support/events/placing.ts";

export const TOPIC = "orders.events";
export const LOG = "log-1";

export interface Said {
  readonly code: number;
  /** What was asked for, as on stdout. */
  readonly text: string;
  /** The sentences beside it, as on stderr. */
  readonly told: readonly string[];
  /** The codes of errors that the command ended with before it did anything. */
  readonly error?: string;
}

/** Runs the command within the test. */
export async function state(...args: readonly string[]): Promise<Said> {
  let text = "";
  const told: string[] = [];
  const context = {
    dataDir: () => {
      throw new Error("A path is given.");
    },
    write: async (more: string) => void (text += more),
    tell: (sentence: string) => void told.push(sentence),
    clock: systemClock,
  };
  try {
    return { code: await runState(args, context), text, told };
  } catch (e) {
    if (!(e instanceof AppError)) throw e;
    return { code: EXIT_USAGE, text, told: [...told, e.message], error: e.code };
  }
}

/** The lines of JSON that the command shows. */
export const linesOf = ({ text }: Said): Record<string, unknown>[] =>
  text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);

export interface StoreOptions {
  readonly topic?: string;
  readonly logId?: string;
  readonly partition?: number;
  readonly projections?: Projections;
}

/** Opens the order service's store at the path, or makes it. */
export function openOrders(path: string, options: StoreOptions = {}): PartitionStore {
  const { topic = TOPIC, logId = LOG, partition = 0, projections = ORDER_SERVICE_PROJECTIONS } = options;
  const files = openedFiles(openDatabase(path, projections, { logId, topic, partition }));
  return new PartitionStore(files, projections, partition, () => files.close());
}

/** Folds the events as the log's next records, and saves. */
export async function saveEvents(store: PartitionStore, ...events: readonly OrderEvent[]): Promise<void> {
  await saveRecords(
    store,
    events.map((event, n) => logRecordOf(event, (store.nextOffset ?? 0) + n)),
  );
}

async function saveRecords(store: PartitionStore, records: readonly LogRecord[]): Promise<void> {
  for (const record of records) store.projections.fold(record);
  await saveAt(store, (store.nextOffset ?? 0) + records.length);
}

/** Makes a closed store of the order service with these events. */
export async function ordersStore(path: string, events: readonly OrderEvent[], options: StoreOptions = {}): Promise<void> {
  const store = openOrders(path, options);
  await saveEvents(store, ...events);
  store.close();
}

/** Opens a partition's index at the path as a cart does, or makes it. */
export function openIndex(path: string, partition = 0): PartitionStore {
  const projections = cartProjections(indexProjection(new OwnCreates(), placingIn(3)));
  const files = openedFiles(openDatabase(path, projections, { logId: LOG, topic: TOPIC, partition }));
  return new PartitionStore(files, projections, partition, () => files.close());
}
