/**
 * A separate process on an embedded log, for the tests that need real ones: `<path> append <name> <count>`, `<path>
 * hold <group>`, `<path> open <at_ms> <count>`. It prints what it is told, line by line, at once.
 */
import { writeSync } from "node:fs";
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
  open(path!).joinGroup({
    group: name!,
    topic: "orders",
    localPartitions: () => [],
    listener: {
      onAssigned: (partitions) => say(`assigned ${partitions.join(",")}`),
      onLost: (reason) => say(`lost ${reason}`),
      onWaiting: (holder) => say(`waiting ${holder}`),
    },
  });
} else throw new Error(`No such role: ${role}`);
