import { createHash } from "node:crypto";
import { realpathSync } from "node:fs";
import { FileLock } from "../../system/file-lock.ts";

/** At most this many processes share a group; each has a lock of its own, whose files stay. */
const MEMBERS_MAX = 64;

/**
 * The locks of one group, as files beside the log. Each ends with its process, even on kill -9, and not before: a
 * stopped process keeps its locks. That is why nobody has to send heartbeats.
 *
 * - `shared`: every member holds it together with the others. Programs of earlier versions take it for themselves alone,
 *   so neither kind is in the group while the other one is.
 * - `leader`: of whoever deals out the partitions.
 * - One for each member: whose lock is free is dead.
 */
export class GroupLocks {
  readonly shared: FileLock;
  readonly leader: FileLock;
  readonly #base: string;
  #own: FileLock | undefined;

  constructor(logPath: string, group: string, topic: string) {
    this.#base = lockPath(logPath, group, topic);
    this.shared = new FileLock(`${this.#base}.lock`);
    this.leader = new FileLock(`${this.#base}.leader.lock`);
  }

  /** Takes the lock of a member, the one with the lowest number that is free; undefined if none is. */
  takeMember(): number | undefined {
    for (let slot = 0; slot < MEMBERS_MAX; slot++) {
      const lock = this.#member(slot);
      if (!lock.tryTake()) continue;
      this.#own = lock;
      return slot;
    }
    return undefined;
  }

  /** Whether no living process has that member's lock. */
  isDead(slot: number): boolean {
    const lock = this.#member(slot);
    const isFree = lock.tryTake();
    lock.release();
    return isFree;
  }

  releaseMember(): void {
    this.#own?.release();
    this.#own = undefined;
  }

  release(): void {
    this.leader.release();
    this.releaseMember();
    this.shared.release();
  }

  #member(slot: number): FileLock {
    return new FileLock(`${this.#base}.member-${slot}.lock`);
  }
}

/**
 * The path of a group's locks, without their ends: readable where possible, always unique, and safe on file systems
 * that ignore case or forbid characters.
 */
const lockPath = (logPath: string, group: string, topic: string): string => {
  const readable = group.replace(/[^A-Za-z0-9_-]/g, "_").slice(0, 40);
  const unique = createHash("sha256")
    .update(JSON.stringify([group, topic]))
    .digest("hex")
    .slice(0, 16);
  return `${realpathSync(logPath)}.${readable}.${unique}`;
};
