import type { NewRecord } from "../../../src/log/port.ts";
import type { Load, Range } from "../load.ts";
import { recordsIn } from "../load.ts";
import { openLog } from "../target.ts";

/** `bun paced-events.ts '<JSON of PacedEvents>'`: appends events at a rate, and prints a JSON line of `Paced`. */
export interface PacedEvents {
  readonly place: string;
  readonly topic: string;
  readonly load: Load;
  /** The number of the first event to append. */
  readonly from: number;
  readonly events_per_s: number;
  readonly seconds: number;
}

export interface Paced {
  readonly done: number;
  readonly seconds: number;
}

/** What became due in this time is appended together, as a cart does with what comes in during an append. */
const tick_ms = 5;
const batch_records_max = 5_000;

async function append({ place, topic, load, from, events_per_s, seconds }: PacedEvents): Promise<Paced> {
  const log = openLog(place);
  const producer = log.producer();
  const started_ms = performance.now();
  const total = events_per_s * seconds;
  let done = 0;
  // The bound on time is for a log that cannot take the rate.
  while (done < total && performance.now() - started_ms < seconds * 2_000) {
    const due = Math.min(total, Math.floor(((performance.now() - started_ms) / 1_000) * events_per_s));
    const to = Math.min(due, done + batch_records_max);
    if (to > done) await producer.append(topic, recordsOfNow(load, { from: from + done, to: from + to }));
    done = Math.max(done, to);
    const next_ms = started_ms + Math.ceil((performance.now() - started_ms) / tick_ms) * tick_ms;
    if (done === due) await Bun.sleep(Math.max(1, next_ms - performance.now()));
  }
  const paced = { done, seconds: (performance.now() - started_ms) / 1_000 };
  await producer.close();
  await log.close();
  return paced;
}

/**
 * Records as carts append them: of this moment. With those of the load's own day a broker begins a new segment where a
 * cart's record comes between them (`segment.ms`), and no fetch goes over that boundary.
 */
function recordsOfNow(load: Load, range: Range): NewRecord[] {
  const timestamp_ms = Date.now();
  return recordsIn(load, range).map((record) => ({ ...record, timestamp_ms }));
}

console.log(JSON.stringify(await append(JSON.parse(process.argv[2]!) as PacedEvents)));
process.exit(0);
