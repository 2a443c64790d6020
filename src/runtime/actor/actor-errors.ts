import { AppError, isAppError } from "../../errors.ts";
import type { Batch, Watermarks } from "../../log/port.ts";
import { isLocked } from "../store/store-failures.ts";

/** The errors that halt a partition or answer a query. Each one says what to do, if somebody has to do something. */

/** Says what to do if the log has other records than the store at `path`. */
const rebuild = (path: string): string =>
  `If the log is right, stop the service, move ${path} and the files whose names begin with it away and start again: it is rebuilt from the log's start, or from its newest snapshot, so delete those that were taken since (bun run snapshot --list). If it is not, keep that file, which holds what was applied, and restore the log from an archive into another topic.`;

export const unreadable = (offset: number, why: string): AppError =>
  new AppError(
    "LOG_UNAVAILABLE",
    `The records at offset ${offset} cannot be decoded (${why}). Nothing after them is applied. Repair or remove them in the topic, then restart.`,
  );

/** The first thing to do where the log has lost records that another process's store may have. */
const START_THE_OWNER_BEFORE =
  "First start the service that had this partition before, if it still has its store: where that has the records, the partition goes on there.";

export const outOfRange = (nextOffset: number, { startOffset, endOffset }: Watermarks, path: string): AppError => {
  const removed = `${START_THE_OWNER_BEFORE} Where no store and no snapshot has them, a rebuild takes LOG_START=accept, too. `;
  return new AppError(
    "OFFSET_OUT_OF_RANGE",
    `The store goes on at offset ${nextOffset}, but the log holds ${startOffset} to ${endOffset}: records were removed unread, or the log lost its end, or the topic was made anew. ${nextOffset < startOffset ? removed : ""}${rebuild(path)}`,
  );
};

/** `none` says why no snapshot can be used, if there is a storage of snapshots. */
export const beginsLate = (startOffset: number, path: string, none?: string): AppError =>
  new AppError(
    "OFFSET_OUT_OF_RANGE",
    `The log begins at offset ${startOffset}: the records 0 to ${startOffset - 1} were removed before this store had read them, so what it would tell is incomplete${snapshotsClause(none)}. ${START_THE_OWNER_BEFORE} A store of an earlier version may have them, beside this one or set aside as ${path}.set-aside-<time>: that version still answers from it. Else bring them back from an archive into another topic. The last resort is LOG_START=accept, which goes on without all orders whose records are gone.`,
  );

export const begunLate = (startOffset: number): string =>
  `The log begins at offset ${startOffset}; a new store starts there, without what was removed before.`;

/** Why LOG_START=accept does not count: another member has what the log has lost. */
export const earlierElsewhere = (startOffset: number, url: string): AppError =>
  new AppError(
    "OFFSET_OUT_OF_RANGE",
    `The log begins at offset ${startOffset}, and ${url} has records of the partition from before that, so LOG_START=accept does not count for it: begun here, it would lack them. Leave the partition to ${url} and stop this process, or have snapshots taken (SNAPSHOT_URL), of which this one can make its store. If what ${url} has is lost, or is to be given up, too, stop it or move its store away, and start this process again, which then asks anew.`,
  );

/**
 * For a store that cannot be used and that the log cannot replace. `from` says where the log begins, as in "begins at
 * offset 7".
 */
export const cannotBeRebuilt = (path: string, reason: string, from: string, none?: string): AppError =>
  new AppError(
    "OFFSET_OUT_OF_RANGE",
    `The store ${path} cannot be used (${reason}), and the log cannot rebuild it, as it ${from}: what was before that is only in the store, which was left where it is${snapshotsClause(none)}. ${START_THE_OWNER_BEFORE} If another version of the program made this one, start that version, which still answers from it. Else bring the records back from an archive into another topic. The last resort is LOG_START=accept, which sets the store aside and goes on without all orders whose records are gone.`,
  );

const snapshotsClause = (none: string | undefined): string => (none === undefined ? "" : `; and ${none}`);

/** The error of a store whose position the log no longer has, for which no snapshot could be found. */
export const withoutSnapshot = ({ code, message }: AppError, none: string | undefined): AppError =>
  new AppError(code, none === undefined ? message : `${message} No snapshot takes its place: ${none}.`);

/** For an operator who wants a store rebuilt that the log cannot replace. */
export const keptInstead = (path: string, startOffset: number): string =>
  `The store ${path} is not rebuilt, and the partition goes on with it: the log begins at offset ${startOffset}, and what was before that is only in the store. To have it rebuilt all the same, start with LOG_START=accept.`;

/** Where there should have been a snapshot; `none` says why there is none that could be used. */
export const readInstead = (none = "there is no snapshot"): string => `The store is read from the log's start, as ${none}.`;

export const disagrees = (offset: number, path: string): AppError =>
  new AppError(
    "LOG_DISAGREES",
    `At offset ${offset} the log holds another record than the one applied: the topic was made anew or restored differently, or the log lost its end. ${rebuild(path)}`,
  );

export const holdsMore = (offset: number, nextOffset: number, path: string): AppError =>
  new AppError(
    "LOG_DISAGREES",
    `At offset ${offset} the log holds a record, and held none there when all before offset ${nextOffset} was applied: the topic was made anew or restored differently, or the log lost its end. ${rebuild(path)}`,
  );

export const topicMadeAnew = (before: string, now: string, path: string): AppError =>
  new AppError(
    "LOG_DISAGREES",
    `The topic was deleted and made anew, by somebody or by a service that found it missing: its id is ${now}, and what is applied is from ${before}. ${rebuild(path)}`,
  );

/** For a standby whose rows are not the owner's, although both say that they come from the same records. */
export const standbyDisagrees = (offset: number, owners: string, own: string, path: string): AppError =>
  new AppError(
    "STATE_DISAGREES",
    `At offset ${offset} the owner's digest is ${owners}, and that of this standby, folded anew from the log, ${own}: one of the two is wrong. Ask bun run audit which. If it is this one, stop the service, move ${path} and the files whose names begin with it away and start again; if it is the owner, have the owner's partition rebuilt.`,
  );

export const foldFailed = ({ baseOffset, nextOffset }: Batch, e: unknown): AppError =>
  new AppError("FOLD_FAILED", `The fold threw between offsets ${baseOffset} and ${nextOffset}: ${String(e)}.`, {}, e);

export const storeDamaged = (path: string, reason: string): AppError =>
  new AppError("STORE_FAILED", `The store ${path} is damaged (${reason}).`);

/** For a query on a store that another program has locked, or that fails. */
export const storeFailed = (partition: number, e: unknown, path: string): AppError =>
  isLocked(e)
    ? new AppError(
        "PARTITION_BLOCKED",
        `The store of partition ${partition} is locked by another program; ask again.`,
        { partition },
        e,
      )
    : new AppError("STORE_FAILED", `The store of partition ${partition}, ${path}, cannot be read: ${messageOf(e)}`, {}, e);

export const storeRebuilt = (partition: number, e: unknown): AppError =>
  new AppError(
    "CATCHING_UP",
    `The store of partition ${partition} is damaged and is rebuilt from the log; ask again.`,
    { partition },
    e,
  );

/** Says what to do about a store that is tried until it works. */
export const storeAdvice = (e: unknown, path: string): string =>
  isAppError(e)
    ? `${e.message.includes(path) ? "" : `${path}: `}${e.message}; the partition then goes on by itself`
    : isLocked(e)
      ? `${path}: ${messageOf(e)}: another program holds its lock. Once that one lets go, the partition goes on by itself`
      : `${path}: ${messageOf(e)}. Make room or mend the disk; the partition then goes on by itself`;

const messageOf = (e: unknown): string => (e instanceof Error ? e.message : String(e));
