import { Database } from "bun:sqlite";
import { hasHaltMark } from "./halt-mark.ts";
import type { StoreIdentity } from "./store-file.ts";
import { writtenAt_ms } from "./store-files.ts";

/** When nobody needs the store of a partition that has moved to another member. */
export interface Unneeded {
  /** Nobody has written it since then. */
  readonly before_wall_ms: number;
  /** Another member has everything before this offset, and the store ends before it. */
  readonly below: number;
  /** The topic as the log has it now. A store of the one that had the name before is for a person to judge. */
  readonly topicId: string | undefined;
}

/**
 * Whether the store, of whatever version, can be deleted now. Before it is locked, which may write to it, it is only
 * looked at. What cannot be read is needed.
 */
export function isUnneeded(path: string, identity: Required<StoreIdentity>, unneeded: Unneeded): boolean {
  if (hasHaltMark(path) || writtenAt_ms(path) >= unneeded.before_wall_ms) return false;
  return isBehind(path, identity, unneeded, false) && isBehind(path, identity, unneeded, true);
}

/** `isAlone` says that nobody else may have the store open, not even to look at it. */
function isBehind(path: string, identity: Required<StoreIdentity>, { below, topicId }: Unneeded, isAlone: boolean): boolean {
  let db: Database | undefined;
  try {
    db = new Database(path, { ...(isAlone ? { readwrite: true, create: false } : { readonly: true }), strict: true });
    // Whoever has a database open that writes ahead holds a lock on it, which does not go with this one.
    if (isAlone) db.run("PRAGMA locking_mode = EXCLUSIVE");
    if (isAlone) db.run("BEGIN IMMEDIATE");
    const { logId, topic, partition } = identity;
    const isOurs = db.query("SELECT 1 FROM store WHERE log_id = ? AND topic = ?").get(logId, topic) !== null;
    const rows = db
      .query<{ partition: number; next_offset: number; topic_id?: string | null }, []>("SELECT * FROM position")
      .all();
    const isOfPartition = rows.every((row) => row.partition === partition);
    const isOfTopic = rows.every(({ topic_id: own = null }) => own === null || topicId === undefined || own === topicId);
    return isOurs && isOfPartition && isOfTopic && rows.every(({ next_offset }) => next_offset < below);
  } catch {
    return false;
  } finally {
    db?.close();
  }
}
