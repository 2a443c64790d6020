import { digestOf } from "../../orders/digest.ts";
import { type SnapshotManifest, unusable } from "../../runtime/snapshots/manifest.ts";
import { verifyParts } from "../../runtime/snapshots/restoring.ts";
import type { Snapshots } from "../../runtime/snapshots/snapshots.ts";
import { isDamage } from "../../runtime/store/store-failures.ts";
import { IndexRows } from "../../services/cart/index/index-rows.ts";
import { SavedOrders } from "../../services/orders/state/saved-orders.ts";
import { knownStore } from "./known-stores.ts";
import { restoredCopy } from "./restored-copy.ts";

/**
 * Reads every part of the snapshot, makes a store of it, reads all rows and computes their digest from scratch. Resolves
 * with a sentence about what was found right; rejects with SNAPSHOT_UNUSABLE.
 */
export async function verifySnapshot(
  name: string,
  manifest: SnapshotManifest,
  snapshots: Snapshots,
  directory: string,
): Promise<string> {
  const { kind, parts } = manifest;
  const known = knownStore(kind);
  if (known === undefined) {
    await verifyParts({ name, manifest }, () => undefined, snapshots.options);
    return `its ${parts.length} parts are whole; the rows are ${kind.name}'s in version ${kind.version}, which this program cannot open`;
  }
  using copy = await restoredCopy({ name, manifest }, known, snapshots, directory);
  try {
    if (known.role === "cart") {
      const entries = countOf(new IndexRows(copy.files).entriesAfter(""));
      return `its ${parts.length} parts are whole, and its ${entries} entries can be read`;
    }
    const rows = new SavedOrders(copy.files).rowsAfter("");
    const digest = digestOf(rows);
    for (const [what, told] of [
      ["its manifest", manifest.digest],
      ["its store", copy.digest],
    ])
      if (told !== digest) throw unusable(name, `${what} says that the digest is ${told}, and that of its rows is ${digest}`);
    return `its ${parts.length} parts are whole, and its rows have the digest ${digest}`;
  } catch (e) {
    if (isDamage(e)) throw unusable(name, e.message);
    throw e;
  }
}

function countOf(rows: Iterable<unknown>): number {
  let count = 0;
  for (const _ of rows) count++;
  return count;
}
