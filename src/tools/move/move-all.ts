import { AppError, isAppError } from "../../errors.ts";
import { Backoff } from "../../log/backoff.ts";
import type { OperationEnvironment } from "../environment.ts";
import type { MoveProgress } from "./mover.ts";
import type { Console } from "../terminal/progress.ts";
import { interrupted } from "../scan/scan.ts";
import { counted, records } from "../terminal/table.ts";

/** Something to move, and how far it is, as the target itself tells. */
export interface Moving {
  /** For people: where it goes. */
  readonly target: string;
  readonly total: number;
  /** Reads on in the target. Resolves with how many of the records are there. */
  look(): Promise<number>;
  isWhole(): boolean;
  /** See `Mover`. */
  settle(): Promise<void>;
  /** Moves what the last look found missing. */
  move(progress: MoveProgress): Promise<void>;
}

/** Longest time without a record more in the target while the log cannot be reached. */
const OUTAGE_MS_MAX = 120_000;
/** Of the embedded log, which has no leaders to elect: its disk is full, or another program keeps it locked. */
const EMBEDDED_OUTAGE_MS_MAX = 30_000;
/** Tries without a record more in the target that failed for another reason. */
const ATTEMPTS_MAX = 5;
const MENDABLE = ["APPEND_OUTCOME_UNKNOWN", "PRODUCER_FENCED", "CONNECT_FAILED"];

/** Moves until all is there. Rejects with the last failure after such an outage or ATTEMPTS_MAX in vain, and with INTERRUPTED. */
export async function moveAll(env: OperationEnvironment, console: Console, moving: Moving): Promise<void> {
  const { clock, random, signal } = env;
  const { target, total } = moving;
  const backoff = new Backoff(env.backoff, random);
  const outage_ms_max = env.log.kind === "sqlite" ? EMBEDDED_OUTAGE_MS_MAX : OUTAGE_MS_MAX;
  let best = -1;
  let progressAt_ms = clock.now_ms();
  let said = "";
  for (let attempts = 0; ;) {
    try {
      await moving.settle();
      const before = await moving.look();
      const isMore = before > best;
      if (isMore) {
        best = before;
        attempts = 0;
        progressAt_ms = clock.now_ms();
      }
      if (moving.isWhole()) return;
      if (before > 0 && isMore) console.say(`${counted(before)} of ${records(total)} are in ${target} already.`);
      await moveOnce(console, moving, before);
      // What a mover says is not taken for granted: it is looked up, and what is still missing is moved again.
      const after = await moving.look();
      if (moving.isWhole()) return;
      throw new AppError("CONNECT_FAILED", `It ended although ${records(total - after)} had not arrived.`);
    } catch (e) {
      if (signal.aborted) throw interrupted();
      if (!isAppError(e)) throw e;
      const isOutage = e.code === "LOG_UNAVAILABLE" && clock.now_ms() - progressAt_ms < outage_ms_max;
      if (!isOutage && (!MENDABLE.includes(e.code) || ++attempts >= ATTEMPTS_MAX)) throw e;
      if (e.message !== said) console.say(`It is tried again: ${e.message}`);
      said = e.message;
      await clock.sleep(backoff.next_ms(), signal);
    }
  }
}

async function moveOnce(console: Console, moving: Moving, before: number): Promise<void> {
  const progress = console.progress(`to ${moving.target}`, moving.total, before);
  let moved = before;
  try {
    await moving.move({
      moved: (n) => progress.show((moved += n)),
      look: async () => {
        moved = await moving.look();
        progress.show(moved);
        return moved;
      },
    });
  } finally {
    progress.end();
  }
}
