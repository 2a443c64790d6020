import { createHash } from "node:crypto";
import { storeKindOf, type Projections } from "../projections.ts";

/**
 * The names of partitions' stores. A store's name has the version of what it holds, so that a newer version of the
 * program builds its store beside the older one's, which a rollback then finds as it was. Earlier versions of the
 * program named stores without it (decision 36).
 */
export const unversionedName = (topic: string, partition: number): string => `${topic}.${partition}.sqlite`;

/** The name of the cart's index of all partitions in earlier versions of the program. */
export const nameOfAll = (topic: string): string => `${topic}.sqlite`;

export const versionedName = (topic: string, partition: number, projections: Projections): string =>
  `${topic}.${partition}.${versionWord(projections)}.sqlite`;

/** The partition whose store has this name; undefined if it is not a store of the topic's. */
export function partitionIn(name: string, topic: string): number | undefined {
  if (!name.startsWith(`${topic}.`)) return undefined;
  const found = /^(\d+)(?:\.[vs][0-9a-f]+)?\.sqlite$/.exec(name.slice(topic.length + 1))?.[1];
  return found === undefined ? undefined : Number(found);
}

/** Whether a store with this name holds these projections, as far as the name tells. */
export const isNamedFor = (name: string, projections: Projections): boolean =>
  name.endsWith(`.${versionWord(projections)}.sqlite`);

/** `v9` for one projection of version 9; for several projections a digest of their names and versions. */
function versionWord(projections: Projections): string {
  const { name, version } = storeKindOf(projections);
  if (projections.length === 1) return `v${version}`;
  return `s${createHash("sha256").update(name).digest("hex").slice(0, 8)}`;
}
