/**
 * A separate process on an embedded log, for the tests that need real ones: `<path> append <name> <count>`, `<path>
 * hold <group>`, `<path> hold-alone <lock's path> <group>`, `<path> open <at_ms> <count>`. It prints what it is told, line by line, at once.
 */
import { Database } from "bun:sqlite";
import { writeSync } from "node:fs";
import { FileLock } from "../../../src/system/file-lock.ts";
import { systemClock } from "../../../src/system/clock.ts";
import { openSqliteLog } from "../../../src/log/sqlite/sqlite-log.ts";
import { newRecord } from "../contract/harness.ts";

const [path, role, name, count] = process.argv.slice(2);
const open = (file: string) =>
  openSqliteLog({ path: file, clock: systemClock, newUuid: () => crypto.randomUUID(), owner: `pid ${process.pid}` });
const say = (line: string): void => void writeSync(1, `${line}\n`);

if (role === "open") {
  // The loop spins so that all processes open each file in the same millisecond.
  for (let each = 0; each < Number(count); each++) {
    while (Date.now() < Number(name) + each * 25) continue;
    const log = open(`${path}-${each}`);
    await log.createTopic("orders", 2);
    say(`${await log.id()} ${await log.partitionCount("orders")}`);
    await log.close();
  }
} else if (role === "append") {
  const log = open(path!);
  const producer = log.producer();
  for (let each = 0; each < Number(count); each++) {
    const [offset] = await producer.append("orders", [newRecord(`${name}-${each}`)]);
    say(`${offset} ${name}-${each}`);
  }
  await log.close();
} else if (role === "hold") {
  // Each line has the time at which it was told, by the clock that all processes share.
  const tell = (what: string) => say(`${what} at ${performance.timeOrigin + performance.now()}`);
  const log = open(path!);
  const membership = log.joinGroup({
    group: name!,
    topic: "orders",
    localPositions: () => new Map(),
    listener: {
      onAssigned: ({ partitions }) => tell(`assigned ${partitions.join(",")}`),
      onLost: (reason) => tell(`lost ${reason}`),
      onWaiting: (holder) => tell(`waiting ${holder}`),
    },
  });
  process.on("SIGTERM", () => void membership.leave().then(() => process.exit(0)));
} else if (role === "hold-alone") {
  // As a program of an earlier version does that has the group for itself.
  const lock = new FileLock(name!);
  if (!lock.tryTake()) throw new Error("the lock is taken");
  const log = new Database(path);
  log.query("INSERT OR REPLACE INTO group_holders VALUES (?, ?, ?, 0)").run(count!, "orders", `pid ${process.pid}`);
  log.close();
  say("holds");
  setInterval(() => lock, 1_000);
} else throw new Error(`No such role: ${role}`);
