import { createHash } from "node:crypto";
import { realpathSync } from "node:fs";
import type { Clock } from "../../system/clock.ts";
import { FileLock } from "../../system/file-lock.ts";
import type { GroupOptions, Membership, MembershipState } from "../port.ts";
import type { LogFile } from "./sqlite-file.ts";

/** How often a member that waits for its group tries again. */
const LOCK_RETRY_MS = 250;
/** How often the holder checks for the topic and for added partitions. */
const PARTITIONS_POLL_MS = 1_000;

export interface SqliteMembershipOptions {
  readonly path: string;
  readonly file: LogFile;
  readonly clock: Clock;
  readonly owner: string;
  readonly group: GroupOptions;
}

/**
 * Membership of a group on the embedded log: one member at a time holds all partitions of the topic, and the others
 * wait.
 *
 * ```
 *  made ──start()──▶ joining
 *            lock taken, topic there
 *  joining ──────────────────────────▶ stable
 *     │  lock held by another             ▲
 *     └────────────▶ waiting ─────────────┘          each of them ──leave()──▶ left
 *                           lock taken
 * ```
 *
 * The lock is a `FileLock` beside the log. It ends with the process, even on kill -9, and not before, unless the
 * member leaves: a stopped process keeps it. That is why `isOwner()` needs no heartbeat.
 */
export class SqliteMembership implements Membership {
  #state: MembershipState = "joining";
  readonly #options: SqliteMembershipOptions;
  readonly #leaving = new AbortController();
  readonly #lock: GroupLock;
  #ended: Promise<void> | undefined;

  constructor(options: SqliteMembershipOptions) {
    this.#options = options;
    this.#lock = new GroupLock(lockPath(options.path, options.group.group, options.group.topic));
  }

  start(): void {
    this.#ended = this.#run();
  }

  get state(): MembershipState {
    return this.#state;
  }

  isOwner(): boolean {
    return this.#state === "stable";
  }

  async commit(offsets: ReadonlyMap<number, number>): Promise<void> {
    // Once another member holds the group, that member's offsets count.
    if (!this.isOwner()) return;
    const { file, group } = this.#options;
    await file.write(() => {
      const put = file.db.query(
        `INSERT INTO group_offsets (group_name, topic, partition, next_offset) VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET next_offset = excluded.next_offset`,
      );
      for (const [partition, nextOffset] of offsets) put.run(group.group, group.topic, partition, nextOffset);
    });
  }

  async leave(): Promise<void> {
    this.#state = "left";
    this.#leaving.abort();
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { clock, group } = this.#options;
    await clock.yield();
    try {
      while (!this.#leaving.signal.aborted && !this.#lock.tryTake()) {
        if (this.#state !== "waiting") {
          this.#state = "waiting";
          group.listener.onWaiting(this.#lock.problem ?? this.#holder());
        }
        await clock.sleep(LOCK_RETRY_MS, this.#leaving.signal);
      }
      if (!this.#leaving.signal.aborted) await this.#hold();
    } finally {
      this.#state = "left";
      this.#lock.release();
    }
  }

  async #hold(): Promise<void> {
    const { clock, group } = this.#options;
    await this.#writeHolder();
    let assigned = 0;
    while (!this.#leaving.signal.aborted) {
      const count = this.#partitionCount(assigned);
      if (count > assigned) {
        assigned = count;
        this.#state = "stable";
        group.listener.onAssigned(Array.from({ length: count }, (_, partition) => partition));
      }
      await clock.sleep(PARTITIONS_POLL_MS, this.#leaving.signal);
    }
  }

  #partitionCount(known: number): number {
    const { file, group } = this.#options;
    try {
      return file.read(() => partitionCount(file, group.topic));
    } catch {
      // The lock is held all the same. The readers report the failure, and the next check may succeed.
      return known;
    }
  }

  /** Writes down who holds the group, for people only: if that cannot be written or read, the lock still holds. */
  async #writeHolder(): Promise<void> {
    const { file, group, owner, clock } = this.#options;
    await file
      .write(() =>
        file.db
          .query(
            `INSERT INTO group_holders (group_name, topic, owner, since_ms) VALUES (?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET owner = excluded.owner, since_ms = excluded.since_ms`,
          )
          .run(group.group, group.topic, owner, clock.wall_ms()),
      )
      .catch(() => undefined);
  }

  #holder(): string {
    const { file, group } = this.#options;
    try {
      const row = file.read(() =>
        file.db
          .query<{ owner: string }, [string, string]>("SELECT owner FROM group_holders WHERE group_name = ? AND topic = ?")
          .get(group.group, group.topic),
      );
      return row?.owner ?? "another process";
    } catch {
      return "another process";
    }
  }
}

export const partitionCount = (file: LogFile, topic: string): number =>
  file.db.query<{ count: number }, [string]>("SELECT count(*) AS count FROM partitions WHERE topic = ?").get(topic)?.count ?? 0;

/**
 * The path of a group's lock: readable where possible, always unique, and safe on file systems that ignore case or
 * forbid characters.
 */
const lockPath = (logPath: string, group: string, topic: string): string => {
  const readable = group.replace(/[^A-Za-z0-9_-]/g, "_").slice(0, 40);
  const unique = createHash("sha256")
    .update(JSON.stringify([group, topic]))
    .digest("hex")
    .slice(0, 16);
  return `${realpathSync(logPath)}.${readable}.${unique}.lock`;
};

class GroupLock {
  /** A sentence that says why the lock could not even be tried; undefined if it could. */
  problem: string | undefined;
  readonly #lock: FileLock;

  constructor(path: string) {
    this.#lock = new FileLock(path);
  }

  tryTake(): boolean {
    this.problem = undefined;
    try {
      return this.#lock.tryTake();
    } catch (e) {
      this.problem = `nobody: the lock file ${this.#lock.path} cannot be locked (${String(e)}); check its directory`;
      return false;
    }
  }

  release(): void {
    this.#lock.release();
  }
}
