import type { StoreDatabase } from "./store/store-database.ts";
import type { LogRecord } from "../log/port.ts";
import type { Outcomes } from "../telemetry/meters.ts";
import type { DeadLetterReason, Fold, Projection, ProjectionStore } from "./projection.ts";

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

/** A store's projections. They are folded, flushed and reset together, and each has its own view. */
export class OpenProjections {
  /**
   * The fold of all projections as one. A single projection's fold is used as it is, because it is called for each
   * record.
   */
  readonly together: Fold;
  readonly #stores: ReadonlyMap<Projection<unknown>, ProjectionStore<unknown>>;

  constructor(projections: Projections, db: StoreDatabase, partition: number) {
    const stores = projections.map((projection) => projection.open(db, partition));
    this.#stores = new Map(projections.map((projection, n) => [projection, stores[n] as ProjectionStore<unknown>]));
    this.together = stores.length === 1 ? (stores[0] as Fold) : new FoldOfSeveral(stores);
  }

  view<View>(projection: Projection<View>): View {
    const store = this.#stores.get(projection);
    if (store === undefined)
      throw new Error(`The projection ${projection.name} is not in the list that this store is opened with.`);
    return store.view as View;
  }
}

/** Hands each record to every fold, even if another fold cannot take it. */
class FoldOfSeveral implements Fold {
  constructor(private readonly folds: readonly Fold[]) {}

  /** A record becomes one dead letter, however many folds cannot take it; the first fold's reason counts. */
  fold(record: LogRecord): DeadLetterReason | undefined {
    let reason: DeadLetterReason | undefined;
    for (const fold of this.folds) {
      const own = fold.fold(record);
      reason ??= own;
    }
    return reason;
  }

  /** If several folds count the same outcome, the first one's number is taken, so that no record is counted twice. */
  flush(): Outcomes | undefined {
    const counted = this.folds.map((fold) => fold.flush()).filter((outcomes) => outcomes !== undefined);
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

  /** The digests of the folds that keep one, joined by dashes. */
  get digest(): string | undefined {
    const digests = this.folds.map(({ digest }) => digest).filter((digest) => digest !== undefined);
    return digests.length === 0 ? undefined : digests.join("-");
  }
}
