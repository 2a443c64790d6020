import { type Clock, systemClock } from "../../src/system/clock.ts";
import { readConfig } from "../../src/config/config.ts";
import { AppError } from "../../src/errors.ts";
import type { Log, NewRecord, Producer } from "../../src/log/port.ts";
import { MemoryBroker, type MemoryFaults } from "../log/memory/memory-log.ts";
import type { CommandContext } from "../../src/tools/command.ts";
import { failed } from "../../src/tools/command.ts";
import { Console } from "../../src/tools/terminal/progress.ts";
import { tempDir } from "../support/stores/temp-dir.ts";
import { type ExactRecord, readExact } from "../support/events/records.ts";

export const TOPIC = "orders.events";

type Run = (args: readonly string[], context: CommandContext) => Promise<number>;

export interface Ran {
  readonly code: number;
  readonly said: string;
}

/** Commands run within the test, on the log in memory and with a data directory of their own. */
export interface OperationsRig extends AsyncDisposable {
  readonly broker: MemoryBroker;
  /** A connection without the faults of the command's own, which is named "operation". */
  readonly log: Log;
  readonly dataDir: string;
  append(...records: NewRecord[]): Promise<void>;
  read(topic: string): Promise<ExactRecord[]>;
  run(command: Run, args: string, more?: { log?: Log; signal?: AbortSignal; clock?: Clock }): Promise<Ran>;
}

export async function operationsRig(partitions: number, faults?: MemoryFaults): Promise<OperationsRig> {
  const dir = await tempDir();
  const newUuid = () => crypto.randomUUID();
  const broker = new MemoryBroker({
    clock: systemClock,
    newUuid,
    request_wait_ms_max: 50,
    late_ms: 20,
    ...(faults && { faults }),
  });
  const log = broker.connect("test");
  await log.createTopic(TOPIC, partitions);
  const config = readConfig({ DATA_DIR: dir.path, BACKOFF_MS_MIN: "1", BACKOFF_MS_MAX: "5" });
  let connections = 0;
  return {
    broker,
    log,
    dataDir: dir.path,
    append: async (...records) => void (await log.producer().append(TOPIC, records)),
    read: (topic) => readExact(log, topic),
    run: async (command, args, more = {}) => {
      let said = "";
      const console = new Console({ write: (text) => void (said += text), columns: undefined }, systemClock);
      const env = {
        log: more.log ?? broker.connect(`operation-${++connections}`),
        clock: more.clock ?? systemClock,
        random: Math.random,
        backoff: config,
        log_name: "in memory",
        outage_ms_max: 120_000,
        topic_replication: undefined,
        signal: more.signal ?? new AbortController().signal,
      };
      const context = { config, env, console, newUuid, programEnv: {} };
      const code = await command(
        args.split(" ").filter((arg) => arg !== ""),
        context,
      ).catch((e: unknown) => {
        if (e instanceof AppError) return failed(console, e);
        throw e;
      });
      return { code, said };
    },
    [Symbol.asyncDispose]: async () => {
      await log.close();
      await dir[Symbol.asyncDispose]();
    },
  };
}

/** A log whose producers write what `spoil` makes of each append, to plant bugs in the mover. */
export function spoiled(log: Log, spoil: (records: readonly NewRecord[]) => readonly NewRecord[]): Log {
  const wrap = (producer: Producer): Producer => ({
    append: async (topic, records) => {
      const written = spoil(records);
      return written.length === 0 ? [] : producer.append(topic, written);
    },
    close: () => producer.close(),
  });
  return new Proxy(log, {
    get: (target, name) => {
      if (name === "producer") return () => wrap(target.producer());
      if (name === "fencedProducer") return async (id: string) => wrap(await target.fencedProducer(id));
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  });
}

/** A record's content, without its offset and the headers that an operation adds. */
export const contentOf = ({ partition, timestamp_ms, key, value, headers }: ExactRecord, prefix = "x-re") => ({
  partition,
  timestamp_ms,
  key,
  value,
  headers: headers.filter(([name]) => !name.startsWith(prefix)),
});
