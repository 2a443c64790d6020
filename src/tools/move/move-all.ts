import { AppError, isAppError } from "../../errors.ts";
import { Backoff } from "../../log/backoff.ts";
import type { OperationEnvironment } from "../environment.ts";
import type { MoveProgress } from "./mover.ts";
import type { Console } from "../terminal/progress.ts";
import { interrupted } from "../scan/scan.ts";
import { counted, records } from "../terminal/table.ts";

/** A move, whose progress is read from the target itself. */
export interface Moving {
  /** The target's name in messages. */
  readonly target: string;
  readonly total: number;
  /** Reads on in the target. Resolves with the number of records that have arrived. */
  look(): Promise<number>;
  isWhole(): boolean;
  /** See `Mover`. */
  settle(): Promise<void>;
  /** Moves what the last look found missing. */
  move(progress: MoveProgress): Promise<void>;
}

/** The most tries that fail for another reason while no record more arrives. */
const ATTEMPTS_MAX = 5;
const MENDABLE = ["APPEND_OUTCOME_UNKNOWN", "PRODUCER_FENCED", "CONNECT_FAILED"];

/** Moves until everything has arrived. Rejects with INTERRUPTED, or with a failure that further tries cannot mend. */
export async function moveAll(env: OperationEnvironment, console: Console, moving: Moving): Promise<void> {
  const { clock, random, signal, outage_ms_max } = env;
  const { target, total } = moving;
  const backoff = new Backoff(env.backoff, random);
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
      // A mover's word is not trusted: what is still missing in the target is moved again.
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
