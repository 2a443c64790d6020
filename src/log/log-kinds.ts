import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { LogConfig, LogKindName } from "../config/log.ts";

/** What differs from one kind of log to another, for those who do not open it. */
interface LogKind<Name extends LogKindName> {
  /** Says to people which log it is, and why: somebody who forgets KAFKA_BROKERS looks into another log. */
  name(log: LogConfig<Name>): string;
  /** `messaging.system` of OpenTelemetry's semantic conventions. */
  readonly messagingSystem: string;
  /**
   * What the ids of such logs look like, by which `kindOfId` tells them from those of every other kind. Undefined for
   * Kafka alone, as a cluster's id may have any form.
   */
  readonly idPattern: RegExp | undefined;
  /** The kinds whose state is looked for where there is none of this log, in this order: was the log lost? */
  readonly stateCounts: readonly LogKindName[];
  /** Whether a data directory has only one log of this kind, so that another id means another log in its place. */
  readonly isOnePerDataDir: boolean;
  /** The files on this machine, of which opening the log creates the first. None if the log is reached by network. */
  files(log: LogConfig<Name>): readonly string[];
  /** How long a replay, redrive or restore waits, without progress, for a log that cannot be reached. */
  readonly outage_ms_max: number;
  /** The addresses that commands are given which change a topic; undefined if there are no such commands. */
  brokers(log: LogConfig<Name>): string | undefined;
}

export const logKinds: { readonly [Name in LogKindName]: LogKind<Name> } = {
  kafka: {
    name: ({ brokers }) => `Kafka at ${brokers.join(",")}`,
    messagingSystem: "kafka",
    idPattern: undefined,
    // An embedded log was tried out before, and still exists.
    stateCounts: ["kafka"],
    isOnePerDataDir: false,
    files: () => [],
    outage_ms_max: 120_000,
    brokers: ({ brokers }) => brokers.join(","),
  },
  embedded: {
    name: ({ path }) => `embedded in ${resolve(path)}, as KAFKA_BROKERS is not set`,
    messagingSystem: "sqlite",
    // A UUID (RFC 9562).
    idPattern: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
    // With state of a cluster, KAFKA_BROKERS may have been forgotten.
    stateCounts: ["embedded", "kafka"],
    isOnePerDataDir: true,
    files: ({ path }) => ["", "-wal", "-shm"].map((suffix) => path + suffix),
    // It elects no leaders: its disk is full, or another program keeps it locked.
    outage_ms_max: 30_000,
    brokers: () => undefined,
  },
};

const kindOf = <Name extends LogKindName>(log: LogConfig<Name>): LogKind<Name> => logKinds[log.kind];

export const logName = (log: LogConfig): string => kindOf(log).name(log);

export const logFiles = (log: LogConfig): readonly string[] => kindOf(log).files(log);

export const brokersOf = (log: LogConfig): string | undefined => kindOf(log).brokers(log);

/** Whether opening the log would create it. */
export const isAbsent = (log: LogConfig): boolean =>
  logFiles(log)
    .slice(0, 1)
    .some((path) => !existsSync(path));

/** The kind of the log with this id, which need not be the one that the settings name. */
export const kindOfId = (logId: string): LogKindName =>
  (Object.keys(logKinds) as LogKindName[]).find((kind) => logKinds[kind].idPattern?.test(logId)) ?? "kafka";
