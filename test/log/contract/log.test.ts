import { Database } from "bun:sqlite";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../src/system/clock.ts";
import type { Log } from "../../../src/log/port.ts";
import { MemoryBroker, noFaults } from "../memory/memory-log.ts";
import { openSqliteLog } from "../../../src/log/sqlite/sqlite-log.ts";
import { type LogHarness, newRecord } from "./harness.ts";
import { logContract } from "./log-contract.ts";

const newUuid = (): string => crypto.randomUUID();
const counted = () => {
  let count = 0;
  return (prefix: string) => `${prefix}-${++count}`;
};

logContract("the embedded log", (): LogHarness => {
  const directory = mkdtempSync(join(tmpdir(), "log-contract-"));
  const open = async (): Promise<Log> =>
    openSqliteLog({ path: join(directory, "log.sqlite"), clock: systemClock, newUuid, owner: "the test" });
  return {
    capabilities: { boundsBatches: false },
    open,
    uniqueName: counted(),
    // The file is all that is stored, so closing all handles, as is done before, is all there is to a restart.
    restart: async () => {},
    hinderAppends: async () => {
      const other = new Database(join(directory, "log.sqlite"));
      other.run("BEGIN IMMEDIATE");
      return async () => other.close();
    },
    dispose: async () => rmSync(directory, { recursive: true }),
  };
});

logContract("the in-memory log", (): LogHarness => {
  const losing = new Set<string>();
  const leaderless = new Set<string>();
  const broker = new MemoryBroker({
    clock: systemClock,
    newUuid,
    faults: {
      ...noFaults,
      onAppend: (connection) => (losing.delete(connection) ? "lose-answer" : "ok"),
      leader: (topic, partition) => (leaderless.has(`${topic}-${partition}`) ? "none" : "ok"),
    },
  });
  const withoutLeader = async (topic: string, partition: number) => {
    leaderless.add(`${topic}-${partition}`);
    broker.topics.notify();
    return async () => {
      leaderless.delete(`${topic}-${partition}`);
      broker.topics.elect(topic, partition);
    };
  };
  const names = new Map<Log, string>();
  const uniqueName = counted();
  return {
    capabilities: { boundsBatches: true },
    open: async () => {
      const name = uniqueName("process");
      const log = broker.connect(name);
      names.set(log, name);
      return log;
    },
    uniqueName,
    restart: async () => {},
    loseNextAnswer: (log) => losing.add(names.get(log)!),
    deleteTopic: async (topic) => broker.topics.deleteTopic(topic),
    withoutLeader,
    hinderAppends: (topic) => withoutLeader(topic, 0),
    openTransaction: async (topic, texts) => {
      const transaction = broker.topics.openTransaction(
        topic,
        texts.map((text) => newRecord(text)),
      );
      return async (isCommitted) => transaction.end(isCommitted);
    },
    dispose: async () => {},
  };
});
