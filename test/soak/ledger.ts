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

/** What the report tells in its table. */
export interface Figures {
  acknowledged: number;
  refused: number;
  readBack: number;
  duplicates: number;
  /** Attempts after which the client did not know whether its event was taken. */
  unknownOutcomes: number;
  longestSilence_ms: number;
  longestRequest_ms: number;
  longestRestart_ms: number;
  longestRestore_ms: number;
  /** From the moment that a leader was killed or paused to its partition's new leader. */
  longestLeaderless_ms: number;
  /** From a partition's new leader until a record that was appended later was read, where no service was under a fault of its own. */
  longestUnreadable_ms: number;
  failoversMeasured: number;
}

/** Of one invariant; more would say no more. */
const VIOLATIONS_KEPT_MAX = 5;

/** Everything that clients sent and were told in a run, and what was found wrong. */
export class Ledger {
  readonly claims: Claim[] = [];
  readonly reads: ReadBack[] = [];
  /** What was written straight into the topic, by number: whether the broker took it. */
  readonly sends: boolean[] = [];
  /** Operations that clients have begun and not been answered for good. */
  readonly open = new Map<string, string>();
  readonly figures: Figures = {
    acknowledged: 0,
    refused: 0,
    readBack: 0,
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
  #heard_ms = performance.now();
  readonly #answers: WriteStream;

  constructor(private readonly answersFile: string) {
    this.#answers = createWriteStream(answersFile);
  }

  get elapsed_ms(): number {
    return performance.now() - this.#started_ms;
  }

  /** For the history of an order: what happened to it, or to all of them. */
  note(text: string): void {
    this.#answers.write(`${(this.elapsed_ms / 1_000).toFixed(3).padStart(9)} s  ${text}\n`);
  }

  /** A client was answered for good. */
  settled(claim: Claim, took_ms: number): void {
    this.claims.push(claim);
    this.open.delete(claim.name);
    this.figures.longestRequest_ms = Math.max(this.figures.longestRequest_ms, took_ms);
    if (typeof claim.answer === "string") this.figures.refused++;
    else this.figures.acknowledged++;
    this.heard();
  }

  /** Told at the begin and at the end of the load too, so that a silence there counts. */
  heard(): void {
    const now_ms = performance.now();
    this.figures.longestSilence_ms = Math.max(this.figures.longestSilence_ms, now_ms - this.#heard_ms);
    this.#heard_ms = now_ms;
  }

  violated(violation: Violation): void {
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
