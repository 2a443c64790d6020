import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { unreachable } from "../errors.ts";
import type { LogConfig, LogKindName } from "../config/log.ts";

/** State of a log that is not there, or is another one now. */
interface LostLog {
  readonly topic: string;
  /** The path of a store that has applied the topic. */
  readonly path: string;
  /** The directory of all stores of the lost log. */
  readonly directory: string;
  readonly kind: LogKindName;
}

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
  /** Says why a service with this log does not begin without the orders of the other, lost one, and what to do. */
  whyLost(log: LogConfig<Name>, lost: LostLog): string;
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
    whyLost: (_, lost) =>
      lostTopic(lost, "was that cluster lost, or is KAFKA_BROKERS another one's, which then wants a DATA_DIR of its own?"),
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
    whyLost: ({ path }, lost) => otherThanEmbedded(resolve(path), lost),
    isOnePerDataDir: true,
    files: ({ path }) => ["", "-wal", "-shm"].map((suffix) => path + suffix),
    // It elects no leaders: its disk is full, or another program keeps it locked.
    outage_ms_max: 30_000,
    brokers: () => undefined,
  },
};

/** Says of a topic that is not in the log what probably became of it, and what to do. */
export const lostTopic = ({ topic, path }: LostLog, cause: string): string =>
  `The topic ${topic} does not exist, and there is state of it in ${path}: ${cause} It is not made anew, since its orders would then be unknown. Restore it from an archive into a topic of another name and set ORDERS_TOPIC to that; or, to begin without its orders, stop the services, move that state away and start again. A topic of this name that you create by hand is read, and disagrees with the state until that is moved away.`;

function otherThanEmbedded(log: string, { topic, path, directory, kind }: LostLog): string {
  switch (kind) {
    case "embedded":
      return `The embedded log ${log} is another one than that of which there is state in ${path}: was that one removed or replaced? It is not used, since the orders of the other would then be unknown. Stop the services, move ${log} and its -wal and -shm away and put the other's in their place; or, to begin without its orders, or where this log has them from an archive, stop the services, move ${directory} away and start again.`;
    case "kafka":
      return `The embedded log ${log} has no topic ${topic}, and there is state of it in ${path}, from brokers: was KAFKA_BROKERS forgotten? Set it; or, to use the embedded log beside them, set DATA_DIR to another directory; or, to begin without those orders, stop the services, move ${directory} away and start again.`;
    default:
      return unreachable(kind);
  }
}

const kindOf = <Name extends LogKindName>(log: LogConfig<Name>): LogKind<Name> => logKinds[log.kind];

export const whyLost = (log: LogConfig, lost: LostLog): string => kindOf(log).whyLost(log, lost);

export const logName = (log: LogConfig): string => kindOf(log).name(log);

export const logFiles = (log: LogConfig): readonly string[] => kindOf(log).files(log);

export const brokersOf = (log: LogConfig): string | undefined => kindOf(log).brokers(log);

/** Whether opening the log would create it. */
export const isAbsent = (log: LogConfig): boolean => {
  const [path] = logFiles(log);
  return path !== undefined && !existsSync(path);
};

/** The kind of the log with this id, which need not be the one that the settings name. */
export const kindOfId = (logId: string): LogKindName =>
  (Object.keys(logKinds) as LogKindName[]).find((kind) => logKinds[kind].idPattern?.test(logId)) ?? "kafka";
