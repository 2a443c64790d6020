import { createWriteStream, type WriteStream } from "node:fs";
import { readFile } from "node:fs/promises";
import type { Claim, Position } from "../reference/claims.ts";
import type { Violation } from "../reference/violation.ts";

/** What a client read back at the position it had been told. */
export interface ReadBack {
  readonly name: string;
  readonly orderId: string;
  readonly position: Position;
  /** The body as it came. */
  readonly body: string;
}

/** The figures in the report's table. */
export interface Figures {
  acknowledged: number;
  refused: number;
  readBack: number;
  /** The reads of orders that demanded no position. */
  plainReads: number;
  /** How often a store was restored from a snapshot, and a damaged one was passed over, as the services logged it. */
  restoredFromSnapshots: number;
  snapshotsPassedOver: number;
  duplicates: number;
  /** The number of attempts after which the client did not know whether its event was taken. */
  unknownOutcomes: number;
  longestSilence_ms: number;
  longestRequest_ms: number;
  longestRestart_ms: number;
  longestRestore_ms: number;
  /** The longest time from when a leader was killed or paused until its partition had a new leader. */
  longestLeaderless_ms: number;
  /**
   * The longest time from a partition's new leader until a record that was appended later was read, if no service was
   * under a fault of its own.
   */
  longestUnreadable_ms: number;
  failoversMeasured: number;
}

/** How many violations of one invariant are kept; more would not help anybody. */
const VIOLATIONS_KEPT_MAX = 5;

/** Everything that clients sent and were told in a run, and the violations that were found. */
export class Ledger {
  readonly claims: Claim[] = [];
  readonly reads: ReadBack[] = [];
  /** For each record written straight into the topic, by number, whether the broker took it. */
  readonly sends: boolean[] = [];
  /** Operations that clients have begun and that have no final answer yet. */
  readonly open = new Map<string, string>();
  readonly figures: Figures = {
    acknowledged: 0,
    refused: 0,
    readBack: 0,
    plainReads: 0,
    restoredFromSnapshots: 0,
    snapshotsPassedOver: 0,
    duplicates: 0,
    unknownOutcomes: 0,
    longestSilence_ms: 0,
    longestRequest_ms: 0,
    longestRestart_ms: 0,
    longestRestore_ms: 0,
    longestLeaderless_ms: 0,
    longestUnreadable_ms: 0,
    failoversMeasured: 0,
  };
  readonly violations = new Map<string, { count: number; readonly kept: Violation[] }>();
  operations = 0;
  readonly #started_ms = performance.now();
  #answered_ms = performance.now();
  readonly #answers: WriteStream;

  constructor(private readonly answersFile: string) {
    this.#answers = createWriteStream(answersFile);
  }

  get elapsed_ms(): number {
    return performance.now() - this.#started_ms;
  }

  /** Writes a line for the history of an order, or of all orders. */
  note(text: string): void {
    this.#answers.write(`${(this.elapsed_ms / 1_000).toFixed(3).padStart(9)} s  ${text}\n`);
  }

  /** Notes that a client got its final answer. */
  settle(claim: Claim, took_ms: number): void {
    this.claims.push(claim);
    this.open.delete(claim.name);
    this.figures.longestRequest_ms = Math.max(this.figures.longestRequest_ms, took_ms);
    if (typeof claim.answer === "string") this.figures.refused++;
    else this.figures.acknowledged++;
    this.noteAnswer();
  }

  /**
   * Notes the time of an answer. It is also called at the beginning and at the end of the load, so that silence there
   * counts.
   */
  noteAnswer(): void {
    const now_ms = performance.now();
    this.figures.longestSilence_ms = Math.max(this.figures.longestSilence_ms, now_ms - this.#answered_ms);
    this.#answered_ms = now_ms;
  }

  addViolation(violation: Violation): void {
    const found = this.violations.get(violation.invariant) ?? { count: 0, kept: [] };
    this.violations.set(violation.invariant, found);
    found.count++;
    if (found.kept.length < VIOLATIONS_KEPT_MAX) found.kept.push(violation);
    this.note(`VIOLATION ${violation.message}`);
  }

  count(...invariants: readonly string[]): number {
    return invariants.reduce((sum, invariant) => sum + (this.violations.get(invariant)?.count ?? 0), 0);
  }

  /** The lines of all answers that name the order. */
  async answersOf(orderId: string): Promise<string[]> {
    await new Promise((resolve) => this.#answers.write("", resolve));
    const lines = (await readFile(this.answersFile, "utf8")).split("\n");
    return lines.filter((line) => line.includes(` ${orderId} `));
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#answers.end(resolve));
  }
}
