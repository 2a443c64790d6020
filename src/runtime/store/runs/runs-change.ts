import type { ByteFile } from "../byte-file.ts";
import type { BlockSpace } from "./block-space.ts";
import type { Manifest } from "./manifest.ts";
import { merge } from "./merge.ts";
import { mergesDue, owedIn } from "./merge-policy.ts";
import { Run, type Segment, Slot } from "./run.ts";
import { RunReader } from "./run-reader.ts";
import type { RunsMemory } from "./runs-memory.ts";
import { RunWriter, type WriterMemory } from "./run-writer.ts";

/** What the runs give a change to work on. */
export interface ChangeParts {
  readonly file: ByteFile;
  readonly space: BlockSpace;
  readonly manifest: Manifest;
  readonly memory: RunsMemory;
  readonly slots: readonly Slot[];
  readonly filter_bytes_max: number;
  /**
   * The change is over. Gives the slots that are the runs from now on, with the blocks that they do not need any more, or
   * undefined if nothing has happened.
   */
  readonly onOver: (after: { readonly slots: readonly Slot[]; readonly freed: readonly number[] } | undefined) => void;
}

/** The oldest run leaves this share of the filters' bytes to the others. */
const NEWER_FILTERS_SHARE = 0.25;

/** How many records are merged with each that is added, at most, so that a change stays short. */
const MERGED_PER_ADDED_MAX = 12;
const MERGED_MIN = 1_024;

type State = "adding" | "merging" | "failed" | "written" | "recorded" | "over";

/**
 * A change of the runs: records are added, and older ones merged. Until it is adopted, readers see the runs as they
 * were, and no block that they have is written to.
 *
 * ```
 *  adding ──merge──▶ merging ──write──▶ written ──record──▶ recorded ──adopt──▶ over
 *    └────────┬─────────┘                                     │    ▲
 *             └─ the file fails ─▶ failed                     └────┘ record, in another transaction
 * ```
 * It may be dropped in any state, and is over then. Once `add`, `merge` or `write` has thrown, nothing else is left.
 */
export class RunsChange {
  /**
   * How many of the records added replace older ones. Whoever knows says so before anything is merged: the fewer there
   * are, the less is merged. Otherwise all are taken to.
   */
  replaced: number | undefined;
  #state: State = "adding";
  #slots: Slot[];
  readonly #taken: number[] = [];
  readonly #freed: number[] = [];
  readonly #runsAdded: Run[] = [];
  readonly #runsDropped: Run[] = [];
  readonly #merged: { readonly run: Run; readonly into: number }[] = [];
  readonly #segmentsAdded: { readonly segment: Segment; readonly run: number }[] = [];
  readonly #segmentsDropped: Segment[] = [];
  #writerMemory: WriterMemory | undefined;
  #writer: RunWriter | undefined;
  #lastKey = -1;
  /** The run of the records added. It is above the slots. */
  #added: Run | undefined;

  constructor(private readonly parts: ChangeParts) {
    this.#slots = [...parts.slots];
    for (const { from, to } of mergesDue(this.#slots)) this.#beginMerge(from, to);
  }

  /** Adds a record. Keys ascend, and all are added before anything is merged. */
  add(key: number, bytes: Buffer, from: number, to: number): void {
    if (this.#state !== "adding") throw new Error(`Nothing can be added to a change that is ${this.#state}`);
    if (!(key > this.#lastKey && key <= Number.MAX_SAFE_INTEGER))
      throw new RangeError(`Key ${key} cannot be added after ${this.#lastKey}`);
    try {
      this.#writer ??= this.#newWriter(false);
      this.#writer.add(key, bytes, from, to);
      this.#lastKey = key;
    } catch (e) {
      this.#state = "failed";
      throw e;
    }
  }

  /** How many records should be merged now, so that the file and the number of runs stay small. */
  get owed(): number {
    return this.#slots.reduce((sum, _, n) => sum + this.#owedIn(n), 0);
  }

  /**
   * Merges what is owed, as far as that is in proportion to what was added: each record is merged about six times in
   * its life.
   */
  mergeShare(): void {
    const added = this.#writer?.records ?? 0;
    this.merge(Math.min(this.owed, Math.max(MERGED_MIN, added * MERGED_PER_ADDED_MAX)));
  }

  /** Merges about `records_max` records, first where it is owed. Returns how many; 0 if there is nothing to merge. */
  merge(records_max: number): number {
    return this.#attempt("merging", () => {
      this.#finishAdding();
      let merged = 0;
      const mergeIn = (n: number, records: number): void => {
        if (records > 0 && merged < records_max) merged += this.#mergeIn(n, Math.min(records, records_max - merged));
      };
      for (let n = 0; n < this.#slots.length; n++) mergeIn(n, this.#owedIn(n));
      for (const [n, { left }] of this.#slots.entries()) mergeIn(n, left);
      return merged;
    });
  }

  /** Writes what is not yet in the file. */
  write(): void {
    this.#attempt("written", () => this.#finishAdding());
    this.#giveMemoryBack();
  }

  /**
   * Writes the manifest in the caller's transaction. Everything that was written to the file must be on the disk by
   * then (`ByteFile.sync`). May be called again in another transaction if that one fails.
   */
  record(): void {
    if (this.#state !== "written" && this.#state !== "recorded")
      throw new Error(`A change that is ${this.#state} cannot be recorded`);
    this.parts.manifest.record({
      runsAdded: this.#runsAdded,
      runsDropped: this.#runsDropped,
      runsChanged: this.#slots.map(({ run }) => run).filter((run) => !this.parts.slots.some((slot) => slot.run === run)),
      merged: this.#merged,
      segmentsAdded: this.#segmentsAdded,
      segmentsDropped: this.#segmentsDropped,
    });
    this.#state = "recorded";
  }

  /** What `SortedRuns.checksum` is once the change is adopted. It must be recorded. */
  get checksum(): number {
    return this.parts.manifest.checksum(this.#after);
  }

  /** The slots that are the runs once the change is adopted. */
  get #after(): readonly Slot[] {
    return this.#added === undefined ? this.#slots : [new Slot(this.#added, []), ...this.#slots];
  }

  /**
   * Readers see the change from now on, and the blocks that the change before it has freed may be written to. So the
   * transaction must be committed, and the one before it must be on the disk: otherwise what a power cut brings back is
   * damaged.
   */
  adopt(): void {
    if (this.#state !== "recorded") throw new Error(`A change that is ${this.#state} cannot be adopted`);
    this.#state = "over";
    this.parts.onOver({ slots: this.#after, freed: this.#freed });
  }

  /** Gives the change up: nothing has happened. */
  drop(): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.#giveMemoryBack();
    for (const block of this.#taken) this.parts.space.give(block);
    this.parts.onOver(undefined);
  }

  #attempt<Result>(next: State, work: () => Result): Result {
    if (this.#state !== "adding" && this.#state !== "merging") throw new Error(`A change that is ${this.#state} cannot go on`);
    this.#state = "failed";
    const result = work();
    this.#state = next;
    return result;
  }

  #owedIn(n: number): number {
    const records = this.#writer?.records ?? 0;
    return this.#slots[n]?.isMerging === true ? owedIn(this.#slots, n, { records, replaced: this.replaced ?? records }) : 0;
  }

  /** The records added become a run, once. */
  #finishAdding(): void {
    if (this.#writer === undefined || this.#added !== undefined) return;
    this.#writer.finish();
    const id = this.parts.manifest.nextRun();
    this.#added = new Run(id, id, this.#writer.segments, this.replaced ?? this.#writer.records);
    this.#addRun(this.#added);
  }

  #addRun(run: Run): void {
    this.#runsAdded.push(run);
    for (const segment of run.segments) this.#segmentsAdded.push({ segment, run: run.id });
  }

  #beginMerge(from: number, to: number): void {
    const inputs = this.#slots.slice(from, to).map(({ run }) => run);
    const run = new Run(
      this.parts.manifest.nextRun(),
      (inputs[0] as Run).age,
      [],
      inputs.reduce((sum, { replaced }) => sum + replaced, 0),
    );
    this.#addRun(run);
    for (const input of inputs) this.#merged.push({ run: input, into: run.id });
    this.#slots.splice(from, to - from, new Slot(run, inputs));
  }

  #mergeIn(n: number, records: number): number {
    const { file, memory } = this.parts;
    const { run, inputs, frontier } = this.#slots[n] as Slot;
    const buffers = inputs.map(() => memory.takeBuffer());
    try {
      const readers = inputs.map((input, i) => new RunReader(file, input, buffers[i]!, frontier));
      const writer = this.#newWriter(n === this.#slots.length - 1);
      const merged = merge(readers, writer, records);
      writer.finish();
      for (const segment of writer.segments) this.#segmentsAdded.push({ segment, run: run.id });
      const replaced = Math.max(0, run.replaced - (merged - writer.records));
      const output = new Run(run.id, run.age, [...run.segments, ...writer.segments], replaced);
      const left = inputs.map((input) => this.#behind(input, frontier, output.lastKey)).filter((input) => input !== undefined);
      this.#slots[n] = new Slot(output, left);
      return merged;
    } finally {
      for (const buffer of buffers) memory.giveBuffer(buffer);
    }
  }

  /** What is left of an input when the frontier has moved; undefined if nothing is. */
  #behind(input: Run, from: number, to: number): Run | undefined {
    let dropped = 0;
    for (const segment of input.segments) {
      const behind = segment.blocksBehind(to);
      for (let block = segment.blocksBehind(from); block < behind; block++) this.#freed.push(segment.blocks[block] as number);
      if (segment.lastKey > to) break;
      this.#segmentsDropped.push(segment);
      dropped++;
    }
    if (dropped === 0) return input;
    if (dropped < input.segments.length) return new Run(input.id, input.age, input.segments.slice(dropped), input.replaced);
    this.#runsDropped.push(input);
    return undefined;
  }

  #newWriter(isOldest: boolean): RunWriter {
    const { file, space, manifest, memory, filter_bytes_max } = this.parts;
    this.#writerMemory ??= memory.takeWriter();
    const bytes_max = filter_bytes_max * (isOldest ? 1 - NEWER_FILTERS_SHARE : 1) - this.#filterBytes();
    const target = { file, space, nextSegment: () => manifest.nextSegment(), taken: this.#taken };
    return new RunWriter(target, this.#writerMemory, bytes_max);
  }

  #filterBytes(): number {
    let bytes = 0;
    for (const { run, inputs } of this.#slots)
      for (const { segments } of [run, ...inputs]) for (const { filter } of segments) bytes += filter?.byteLength ?? 0;
    return bytes;
  }

  #giveMemoryBack(): void {
    if (this.#writerMemory !== undefined) this.parts.memory.giveWriter(this.#writerMemory);
    this.#writerMemory = undefined;
    this.#writer = undefined;
  }
}
