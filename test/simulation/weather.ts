import type { NewRecord } from "../../src/log/port.ts";
import type { AppendFault, FetchFault, LeaderFault, MemoryFaults } from "../log/memory/memory-log.ts";
import { pick } from "../support/random.ts";

/** What is wrong with the world at the moment. When everything is empty or 0, the world is healthy. */
export class Weather implements MemoryFaults {
  readonly awayInstances = new Set<string>();
  /** What is wrong with the partitions' leaders, by topic and partition. */
  readonly leaders = new Map<string, LeaderFault>();
  /** Topics to which nobody may append. */
  readonly denied = new Set<string>();
  appendFaultChance = 0;
  fetchFaultChance = 0;

  constructor(
    private readonly random: () => number,
    private readonly isStopped: (instance: string) => boolean,
    /** Called for each append that a process sends. */
    private readonly onAppended: (instance: string, topic: string, records: readonly NewRecord[]) => void,
  ) {}

  clear(): void {
    this.awayInstances.clear();
    this.leaders.clear();
    this.denied.clear();
    this.appendFaultChance = 0;
    this.fetchFaultChance = 0;
  }

  away(connection: string): boolean {
    return this.awayInstances.size > 0 && this.awayInstances.has(instanceOf(connection));
  }

  stalled(connection: string): boolean {
    return this.isStopped(instanceOf(connection));
  }

  leader(topic: string, partition: number): LeaderFault {
    return this.leaders.size === 0 ? "ok" : (this.leaders.get(leaderKey(topic, partition)) ?? "ok");
  }

  isDenied(_: string, topic: string): boolean {
    return this.denied.size > 0 && this.denied.has(topic);
  }

  onAppend(connection: string, topic: string, records: readonly NewRecord[]): AppendFault {
    this.onAppended(instanceOf(connection), topic, records);
    if (this.appendFaultChance === 0 || this.random() >= this.appendFaultChance) return "ok";
    return pick(this.random, ["reject", "lose-answer", "lose-answer", "land-late", "hang"] as const);
  }

  onFetch(): FetchFault {
    if (this.fetchFaultChance === 0 || this.random() >= this.fetchFaultChance) return "ok";
    return pick(this.random, ["reject", "empty", "hang", "partial", "partial"] as const);
  }
}

export const leaderKey = (topic: string, partition: number): string => `${topic}-${partition}`;

const instanceOf = (connection: string): string => connection.split("#")[0] ?? connection;
