import { AppError } from "../../errors.ts";
import type { Log } from "../../log/port.ts";
import { type Claim, claimOf, type DeliveredLetters, isOf } from "./delivered-letters.ts";
import { PlaceReader } from "../read/place-reader.ts";

/** A search begins with this many records at the end, and goes back in ever larger steps. */
const STEP_RECORDS_MIN = 1_000;
const STEP_RECORDS_MAX = 64_000;
/**
 * At most this many letters are checked to find a genuine one that ends the search. Whoever forges more makes the
 * search longer, and achieves nothing else.
 */
const PROOFS_MAX = 100;

export interface LetterSearchOptions {
  readonly log: Log;
  readonly topic: string;
  readonly deadLetterTopic: string;
  readonly partition: number;
}

/**
 * Notes in `delivered` all letters of the partition for offsets from `from` on. Letters are appended in the order of
 * their offsets, so the topic is read backwards from its end until a letter of an earlier record is found. Only a
 * letter that carries its record's bytes counts, since anybody may write into the topic (decision 3).
 *
 * Letters of partition p go to the dead-letter partition p modulo the number of dead-letter partitions. As that number
 * grows, letters of one partition may be in several. All letters written after one that is in dead-letter partition p
 * are there, too.
 */
export async function searchLetters(options: LetterSearchOptions, from: number, delivered: DeliveredLetters): Promise<void> {
  const { log, deadLetterTopic, topic, partition } = options;
  const { partitions } = await log.ends(deadLetterTopic);
  if (partitions.length === 0) throw new AppError("LOG_UNAVAILABLE", `The topic ${deadLetterTopic} does not exist; create it.`);
  delivered.begin(from);
  const source = new PlaceReader(log, topic, partition);
  try {
    const proof = new Proof(source, from);
    for (const target of targetsOf(partition, partitions.length)) {
      const ends = partitions[target];
      if (!ends || "unavailable" in ends)
        throw new AppError("LOG_UNAVAILABLE", `${deadLetterTopic}-${target} cannot be read back: ${ends?.unavailable}`);
      const isFound = await searchTarget(options, target, ends, proof, delivered);
      if (isFound && target === partition) return;
    }
  } finally {
    await source.close();
  }
}

/** The dead-letter partitions that may have letters of the partition, the newest first. */
export function targetsOf(partition: number, count: number): Set<number> {
  const targets = new Set<number>();
  for (let n = count; n > 0; n--) targets.add(partition % n);
  return targets;
}

/** Resolves with true if a letter of an earlier record ended the search. */
async function searchTarget(
  { log, topic, deadLetterTopic, partition }: LetterSearchOptions,
  target: number,
  { startOffset, endOffset }: { readonly startOffset: number; readonly endOffset: number },
  proof: Proof,
  delivered: DeliveredLetters,
): Promise<boolean> {
  const letters = new PlaceReader(log, deadLetterTopic, target);
  try {
    let step = STEP_RECORDS_MIN;
    for (let end = endOffset; end > startOffset; step = Math.min(step * 4, STEP_RECORDS_MAX)) {
      const start = Math.max(startOffset, end - step);
      const earlier: Claim[] = [];
      for (let at = start; at < end;) {
        const piece = await letters.from(at);
        // Records that were deleted meanwhile are no letters any more.
        if (!piece) break;
        for (const record of piece.records) {
          const claim = record.offset < end ? claimOf(record, topic, partition) : undefined;
          if (claim && claim.offset >= proof.from) delivered.noteRead(claim);
          else if (claim && earlier.push(claim) > PROOFS_MAX) earlier.shift();
        }
        at = piece.nextOffset;
      }
      if (await proof.isAnyGenuine(earlier)) return true;
      end = start;
    }
    return false;
  } finally {
    await letters.close();
  }
}

/** Tells genuine letters of earlier records from those that somebody else wrote. */
class Proof {
  #left = PROOFS_MAX;

  constructor(
    private readonly source: PlaceReader,
    readonly from: number,
  ) {}

  async isAnyGenuine(claims: Claim[]): Promise<boolean> {
    for (const claim of claims.toReversed()) {
      if (this.#left-- <= 0) return false;
      const record = await this.source.at(claim.offset);
      if (record && isOf(claim, record)) return true;
    }
    return false;
  }
}
