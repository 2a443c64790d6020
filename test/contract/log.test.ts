import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/clock.ts";
import type { Log } from "../../src/log/log.ts";
import { MemoryBroker, noFaults } from "../../src/log/memory-log.ts";
import { openSqliteLog } from "../../src/log/sqlite-log.ts";
import { HOLDER } from "./group-contract.ts";
import type { LogHarness } from "./harness.ts";
import { logContract } from "./log-contract.ts";

const newUuid = (): string => crypto.randomUUID();
const counted = () => {
  let count = 0;
  return (prefix: string) => `${prefix}-${++count}`;
};

logContract("the embedded log", (): LogHarness => {
  const directory = mkdtempSync(join(tmpdir(), "log-contract-"));
  const open = async (): Promise<Log> =>
    openSqliteLog({ path: join(directory, "log.sqlite"), clock: systemClock, newUuid, owner: HOLDER });
  return {
    open,
    uniqueName: counted(),
    // What is stored is the file: closing all handles, as is done before, is all there is to a restart.
    restart: async () => {},
    dispose: async () => rmSync(directory, { recursive: true }),
  };
});

logContract("the in-memory log", (): LogHarness => {
  const losing = new Set<string>();
  const broker = new MemoryBroker({
    clock: systemClock,
    newUuid,
    faults: { ...noFaults, onAppend: (connection) => (losing.delete(connection) ? "lose-answer" : "ok") },
  });
  const names = new Map<Log, string>();
  const uniqueName = counted();
  return {
    open: async () => {
      const name = uniqueName("process");
      const log = broker.connect(name);
      names.set(log, name);
      return log;
    },
    uniqueName,
    restart: async () => {},
    loseNextAnswer: (log) => losing.add(names.get(log)!),
    dispose: async () => {},
  };
});
