import type { HeldBytes } from "./store/copy/held-store.ts";
import type { StoreFiles } from "./store/store-files.ts";
import type { Batch, LogRecord } from "../log/port.ts";
import { offsetIn, type RecordBlock } from "../log/record-block.ts";
import type { Outcomes } from "../telemetry/meters.ts";
import type { DeadLetterReason, Fold, OnRefused, Projection, ProjectionStore, Saving } from "./projection.ts";

/** All projections of a partition. They share one file, one transaction and one position. */
export type Projections = readonly [Projection<unknown>, ...Projection<unknown>[]];

/** What a store's file says it holds. */
export interface StoreKind {
  readonly name: string;
  readonly version: number;
}

/** The version of a file that holds several projections; its name has their own versions. */
const VERSION_OF_SEVERAL = 0;

/**
 * The kind of file that holds these projections. A single projection gives the file its own name and version
 * ("orders", 3). Several give it a name that lists each one's name and version in alphabetical order
 * ("customers@1+orders@3"), and version 0, which no projection has. A file written for another list, or for another
 * version of any projection, is therefore of another kind, and is set aside and rebuilt. The order of the list does
 * not matter.
 */
export function storeKindOf(projections: Projections): StoreKind {
  for (const { name, version } of projections)
    if (!/^[a-z0-9-]+$/.test(name) || version <= VERSION_OF_SEVERAL)
      throw new Error(
        `A projection's name has lower-case letters, digits and dashes, and its version is above 0: ${name}@${version}.`,
      );
  if (new Set(projections.map(({ name }) => name)).size < projections.length)
    throw new Error(`Two projections of one store have the same name: ${projections.map(({ name }) => name).join(", ")}.`);
  const [{ name, version }, ...others] = projections;
  if (others.length === 0) return { name, version };
  const all = projections.map((each) => `${each.name}@${each.version}`);
  return { name: all.toSorted().join("+"), version: VERSION_OF_SEVERAL };
}

/** The kind in one word, as members of a group tell it to each other: "orders@3". */
export const kindWord = ({ name, version }: StoreKind): string => `${name}@${version}`;

/** The kinds of the projections whose file says that it is of this kind: what `storeKindOf` was given. */
export function kindsIn({ name, version }: StoreKind): StoreKind[] {
  if (version !== VERSION_OF_SEVERAL) return [{ name, version }];
  return name.split("+").map((each) => {
    const [own = "", ownVersion] = each.split("@");
    return { name: own, version: Number(ownVersion) };
  });
}

/** A store's projections. They are folded, kept, reset and saved together, and each has its own view. */
export class OpenProjections {
  /**
   * The fold of all projections as one. A single projection's fold is used as it is, because it is called for each
   * record.
   */
  readonly together: Fold;
  readonly #stores: ReadonlyMap<Projection<unknown>, ProjectionStore<unknown>>;

  constructor(projections: Projections, files: StoreFiles, partition: number) {
    const stores = projections.map((projection) => projection.open(files, partition));
    this.#stores = new Map(projections.map((projection, n) => [projection, stores[n] as ProjectionStore<unknown>]));
    this.together = stores.length === 1 ? (stores[0] as Fold) : new FoldOfSeveral(stores);
  }

  close(): void {
    for (const store of this.#stores.values()) store.close?.();
  }

  view<View>(projection: Projection<View>): View {
    const store = this.#stores.get(projection);
    if (store === undefined)
      throw new Error(`The projection ${projection.name} is not in the list that this store is opened with.`);
    return store.view as View;
  }
}

function foldEach(fold: Fold, block: RecordBlock, nextOffset: number, onRefused: OnRefused): void {
  for (let n = 0; n < block.count; n++) {
    if (offsetIn(block, n) < nextOffset) continue;
    const record = block.record(n);
    const reason = fold.fold(record);
    if (reason) onRefused(record, reason);
  }
}

/** Hands each record to every fold, even if another fold cannot take it. */
class FoldOfSeveral implements Fold {
  constructor(private readonly folds: readonly Fold[]) {}

  prepare(batch: Batch, nextOffset: number): void {
    for (const fold of this.folds) fold.prepare?.(batch, nextOffset);
  }

  /** A record becomes one dead letter, however many folds cannot take it; the first fold's reason counts. */
  fold(record: LogRecord): DeadLetterReason | undefined {
    let reason: DeadLetterReason | undefined;
    for (const fold of this.folds) {
      const own = fold.fold(record);
      reason ??= own;
    }
    return reason;
  }

  /** As `fold`, record by record where a fold does not read bytes. */
  foldBlock(block: RecordBlock, nextOffset: number, onRefused: OnRefused): void {
    const refused = new Map<number, [LogRecord, DeadLetterReason]>();
    const note: OnRefused = (record, reason) => {
      if (!refused.has(record.offset)) refused.set(record.offset, [record, reason]);
    };
    for (const fold of this.folds) {
      if (fold.foldBlock) fold.foldBlock(block, nextOffset, note);
      else foldEach(fold, block, nextOffset, note);
    }
    for (const [record, reason] of [...refused.values()].toSorted(([a], [b]) => a.offset - b.offset)) onRefused(record, reason);
  }

  /** If several folds count the same outcome, the first one's number is taken, so that no record is counted twice. */
  keep(): Outcomes | undefined {
    const counted = this.folds.map((fold) => fold.keep()).filter((outcomes) => outcomes !== undefined);
    return counted.length === 0 ? undefined : Object.assign({}, ...counted.toReversed());
  }

  /** The first and the last record, in log order, that any of the folds reports. */
  get news(): readonly LogRecord[] | undefined {
    const told = this.folds.map(({ news }) => news).filter((news) => news !== undefined);
    if (told.length === 0) return undefined;
    const all = told.flat().toSorted((a, b) => a.offset - b.offset);
    const [first, last] = [all[0], all.at(-1)];
    if (first === undefined || last === undefined) return [];
    return first.offset === last.offset ? [first] : [first, last];
  }

  reset(): void {
    for (const fold of this.folds) fold.reset();
  }

  get unsaved(): number {
    return this.folds.reduce((sum, { unsaved }) => sum + unsaved, 0);
  }

  save(): Saving {
    const savings: Saving[] = [];
    const all = (call: (saving: Saving) => void): void => savings.forEach(call);
    try {
      for (const fold of this.folds) savings.push(fold.save());
    } catch (e) {
      all((saving) => saving.abandoned());
      throw e;
    }
    const own = savings.flatMap(({ synced }) => synced ?? []);
    const synced = own.length === 0 ? undefined : Promise.all(own).then(() => undefined);
    // A failure is told to whoever awaits it, which may be nobody.
    synced?.catch(() => undefined);
    return {
      synced,
      write: () => all((saving) => saving.write()),
      checksum: () => sumOf(savings.map((saving) => saving.checksum?.())),
      committed: () => all((saving) => saving.committed()),
      abandoned: () => all((saving) => saving.abandoned()),
    };
  }

  hold(): HeldBytes {
    const held: HeldBytes[] = [];
    const release = (): void => held.forEach((one) => one.release());
    try {
      for (const fold of this.folds) if (fold.hold) held.push(fold.hold());
    } catch (e) {
      release();
      throw e;
    }
    return {
      files: new Map(held.flatMap(({ files }) => [...files])),
      bytes: held.reduce((sum, { bytes }) => sum + bytes, 0),
      get isBroken() {
        return held.some(({ isBroken }) => isBroken);
      },
      release,
    };
  }

  /** The digests of the folds that keep one, joined by dashes. */
  get digest(): string | undefined {
    const digests = this.folds.map(({ digest }) => digest).filter((digest) => digest !== undefined);
    return digests.length === 0 ? undefined : digests.join("-");
  }

  get checksum(): number {
    return sumOf(this.folds.map(({ checksum }) => checksum));
  }
}

/** A sum, since the order of the projections does not matter. */
const sumOf = (checksums: readonly (number | undefined)[]): number =>
  checksums.reduce<number>((sum, checksum = 0) => sum + checksum, 0) % 2 ** 32;
