import type { StoreDatabase } from "./store/store-database.ts";
import type { LogRecord } from "../log/port.ts";
import type { Outcomes } from "../telemetry/meters.ts";
import type { DeadLetterReason, Fold, Projection, ProjectionStore } from "./projection.ts";

/** All that a partition's records are folded into: in one file, in one transaction, up to one position. */
export type Projections = readonly [Projection<unknown>, ...Projection<unknown>[]];

/** What a store's file says that it holds. */
export interface StoreKind {
  readonly name: string;
  readonly version: number;
}

/** The version of a file of several projections, whose name tells theirs. */
const VERSION_OF_SEVERAL = 0;

/**
 * As what the file of these projections is known. Of one projection it is that one's own name and version: "orders",
 * 3. Of several the name has each one's name and version, in alphabetical order ("customers@1+orders@3"), and the
 * version is 0, which no projection has. So a file of another list, or of another version of any of them, is another
 * one's, and is set aside and rebuilt; the order of the list changes nothing.
 */
export function kindOf(projections: Projections): StoreKind {
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

/** A store's projections: folded, written and thrown away together, and each looked at for itself. */
export class OpenProjections {
  /** Of all of them as one. Of a single one it is its own, as it is called for each record. */
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

/** Each of the folds gets each record, whatever the others say of it. */
class FoldOfSeveral implements Fold {
  constructor(private readonly folds: readonly Fold[]) {}

  /** A record is one dead letter, however many of them cannot take it: the first one's reason counts. */
  fold(record: LogRecord): DeadLetterReason | undefined {
    let reason: DeadLetterReason | undefined;
    for (const fold of this.folds) {
      const own = fold.fold(record);
      reason ??= own;
    }
    return reason;
  }

  /** An outcome is counted as the first that counts it does, so that no record has the same one twice. */
  flush(): Outcomes | undefined {
    const counted = this.folds.map((fold) => fold.flush()).filter((outcomes) => outcomes !== undefined);
    return counted.length === 0 ? undefined : Object.assign({}, ...counted.toReversed());
  }

  /** The first and the last record of what any of them tells, in the order of the log. */
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

  /** Of those that keep one; where a single one does, its own. */
  get digest(): string | undefined {
    const digests = this.folds.map(({ digest }) => digest).filter((digest) => digest !== undefined);
    return digests.length === 0 ? undefined : digests.join("-");
  }
}
