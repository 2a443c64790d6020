import { formatLogPosition, type LogPosition } from "../../log/log-position.ts";
import type { LogRecord } from "../../log/port.ts";
import type { Console } from "../terminal/progress.ts";
import { counted } from "../terminal/table.ts";

/** The offsets of a batch that cannot be decoded. Its records are unknown, so they cannot be moved. */
export interface UndecodableOffsets extends LogPosition {
  readonly lastOffset: number;
  readonly reason: string;
}

export interface Undecodable {
  readonly batches: number;
  /** The first batches, at most KEPT_MAX. */
  readonly kept: readonly UndecodableOffsets[];
}

const KEPT_MAX = 100;
const SHOWN_MAX = 5;

/** Collects the undecodable batches among records that are added one by one. */
export class UndecodableSoFar {
  #batches = 0;
  readonly #kept: UndecodableOffsets[] = [];

  add({ offset, undecodable }: LogRecord, partition: number): void {
    if (!undecodable) return;
    this.#batches++;
    if (this.#kept.length < KEPT_MAX) this.#kept.push({ partition, offset, ...undecodable });
  }

  get all(): Undecodable {
    return { batches: this.#batches, kept: this.#kept };
  }
}

/** `3:17–19: why` */
const describe = (batch: UndecodableOffsets): string =>
  `${formatLogPosition(batch)}${batch.lastOffset > batch.offset ? `–${batch.lastOffset}` : ""}: ${batch.reason}`;

/** Prints which offsets are left out. */
export function reportUndecodable(console: Console, topic: string, { batches, kept }: Undecodable): void {
  if (batches === 0) return;
  const batch = batches === 1 ? "1 batch" : `${counted(batches)} batches`;
  console.say(`${batch} of ${topic} cannot be decoded, and what is in there is left out:`);
  for (const one of kept.slice(0, SHOWN_MAX)) console.say(`  ${describe(one)}`);
  if (batches > SHOWN_MAX) console.say(`  … and ${counted(batches - SHOWN_MAX)} more.`);
}

/** The first undecodable batch as text, `3:17–19: why`. */
export const firstUndecodable = ({ kept: [first] }: Undecodable): string | undefined => first && describe(first);
