import { dirname } from "node:path";
import { AppError, isAppError } from "../../errors.ts";
import type { Config } from "../../config/config.ts";
import { reach, snapshotBytes, type SnapshotManifest } from "../../runtime/snapshots/manifest.ts";
import { type ListedSnapshot, listed, type Snapshots } from "../../runtime/snapshots/snapshots.ts";
import type { Clock } from "../../system/clock.ts";
import { invalid, readOptions } from "../arguments.ts";
import { EXIT_FAILED, EXIT_OK } from "../command.ts";
import { table } from "../terminal/table.ts";
import { whatHolds } from "./known-stores.ts";
import { takeAll } from "./take.ts";
import { verifySnapshot } from "./verify.ts";

export const SNAPSHOT_USAGE = `Usage: bun run snapshot --list [--json]
       bun run snapshot --verify [--name NAME]
       bun run snapshot --take
       bun run snapshot --delete NAME

Shows, checks, takes and deletes snapshots of the services' stores, in the storage that SNAPSHOT_URL names. It takes the services' settings
(SNAPSHOT_URL, AWS_*, ORDERS_TOPIC, DATA_DIR, …) and does not need the log. Exit code 0: all is well; 1: something is not; 2: nothing was done.

  --list     each snapshot: of which topic and partition it is, whether it holds orders or the index, up to which offset it goes, its age
             and its bytes; its name begins with the log
  --json     lines of JSON in place of a table, with the whole manifest
  --verify   reads each snapshot, or the one of that name, compares every checksum, makes a store of it in the system's directory for
             temporary files, reads all rows and computes their digest from scratch
  --take     takes a snapshot of each store in DATA_DIR whose service does not run. A service that runs takes its own: every
             SNAPSHOT_WAIT_MS, and when it stops
  --delete   deletes the snapshot of that name, such as one that the log disagrees with
`;

/** What the command works with. */
export interface SnapshotContext {
  readonly config: Pick<Config, "data_dir" | "orders_topic">;
  readonly snapshots: Snapshots;
  /** Where stores are made while they are verified. */
  readonly temporary: string;
  readonly clock: Pick<Clock, "wall_ms">;
  /** Resolves when the text is written. */
  readonly write: (text: string) => Promise<void>;
  /** Tells a sentence that is not part of what was asked for. */
  readonly tell: (sentence: string) => void;
}

/** Resolves with the exit code. Throws an AppError if nothing was done. */
export async function runSnapshot(args: readonly string[], context: SnapshotContext): Promise<number> {
  const {
    list,
    verify,
    take,
    json,
    name,
    delete: deleted,
  } = readOptions(args, {
    list: "flag",
    verify: "flag",
    take: "flag",
    json: "flag",
    name: "text",
    delete: "text",
  });
  const asked = [list, verify, take, deleted !== undefined].filter((one) => one === true).length;
  if (asked !== 1) throw invalid("Say one of --list, --verify, --take and --delete NAME.");
  if (json === true && list !== true) throw invalid("--json is for --list.");
  if (name !== undefined && verify !== true) throw invalid("--name is for --verify.");
  if (list === true) return showList(json === true, context);
  if (verify === true) return verifyAll(name, context);
  if (take === true) return takeThem(context);
  return deleteOne(deleted ?? "", context);
}

/** Those of one store together, the furthest first, and partitions in the order of their numbers. */
const all = async ({ snapshots }: SnapshotContext): Promise<ListedSnapshot[]> =>
  listed(await snapshots.options.storage.list("")).toSorted((a, b) =>
    dirname(a.name).localeCompare(dirname(b.name), "en", { numeric: true }),
  );

async function named(name: string, context: SnapshotContext): Promise<ListedSnapshot> {
  const found = (await all(context)).find((one) => one.name === name || one.name === `${name}/`);
  if (found !== undefined) return found;
  throw new AppError("OPERATION_REFUSED", `There is no snapshot ${name} at ${context.snapshots.url}.`);
}

async function showList(json: boolean, context: SnapshotContext): Promise<number> {
  const { snapshots, write, tell, clock } = context;
  const rows: (string | number)[][] = [];
  const lines: string[] = [];
  let isWell = true;
  for (const one of await all(context)) {
    const found = await manifestOf(one, snapshots);
    const age = shownAge(clock.wall_ms() - (typeof found === "string" ? one.modified_ms : found.taken_ms));
    if (typeof found === "string") {
      isWell &&= !one.isFinished;
      lines.push(JSON.stringify({ name: one.name, unusable: found }));
      rows.push(["-", "-", "-", "-", age, [...one.objects.values()].reduce((sum, bytes) => sum + bytes, 0), one.name]);
      tell(`${one.name}: ${found}`);
    } else {
      lines.push(JSON.stringify({ name: one.name, ...found }));
      rows.push([found.topic, whatHolds(found.kind), String(found.partition), reach(found), age, snapshotBytes(found), one.name]);
    }
  }
  const shown = json
    ? lines
    : rows.length === 0
      ? []
      : table(["topic", "holds", "partition", "offset", "age", "bytes", "name"], rows);
  await write(shown.map((line) => `${line}\n`).join(""));
  if (rows.length === 0) tell(`There is no snapshot at ${snapshots.url}.`);
  return isWell ? EXIT_OK : EXIT_FAILED;
}

/** The manifest, or why there is none. */
async function manifestOf(one: ListedSnapshot, snapshots: Snapshots): Promise<SnapshotManifest | string> {
  if (!one.isFinished) return "it is being taken, or was torn off: it has no manifest";
  try {
    return await snapshots.read(one);
  } catch (e) {
    if (isAppError(e, "SNAPSHOT_UNUSABLE")) return e.message;
    throw e;
  }
}

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
] as const;

function shownAge(age_ms: number): string {
  const [unit, ms] = UNITS.find(([, least_ms]) => age_ms >= 2 * least_ms) ?? ["s", 1_000];
  return `${Math.max(0, Math.floor(age_ms / ms))} ${unit}`;
}

async function verifyAll(name: string | undefined, context: SnapshotContext): Promise<number> {
  const { snapshots, write, temporary } = context;
  const chosen = name === undefined ? (await all(context)).filter(({ isFinished }) => isFinished) : [await named(name, context)];
  if (chosen.length === 0) throw new AppError("OPERATION_REFUSED", `There is no snapshot at ${snapshots.url}.`);
  let isWell = true;
  for (const one of chosen) {
    try {
      const found = await verifySnapshot(one.name, await snapshots.read(one), snapshots, temporary);
      await write(`good  ${one.name}: ${found}\n`);
    } catch (e) {
      if (!isAppError(e, "SNAPSHOT_UNUSABLE")) throw e;
      isWell = false;
      await write(`BAD   ${e.message}\n`);
    }
  }
  return isWell ? EXIT_OK : EXIT_FAILED;
}

async function takeThem({ config, snapshots, write, tell }: SnapshotContext): Promise<number> {
  let taken = 0;
  let failed = 0;
  for await (const { path, snapshot, error } of takeAll(config.data_dir, config.orders_topic, snapshots)) {
    if (snapshot !== undefined) {
      taken++;
      await write(`${path}: ${snapshot.name}, ${snapshotBytes(snapshot.manifest)} bytes\n`);
      for (const name of await snapshots.prune(snapshot.manifest, snapshot)) tell(`${name} was deleted: newer ones are kept.`);
    } else if (error !== undefined) {
      failed++;
      tell(error.message);
    }
  }
  if (taken + failed === 0)
    throw new AppError("OPERATION_REFUSED", `There is no store of ${config.orders_topic} in ${config.data_dir}.`);
  return failed === 0 ? EXIT_OK : EXIT_FAILED;
}

async function deleteOne(name: string, context: SnapshotContext): Promise<number> {
  const found = await named(name, context);
  await context.snapshots.delete(found);
  await context.write(`${found.name} is deleted.\n`);
  return EXIT_OK;
}
