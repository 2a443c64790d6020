import { orderProjection } from "../../src/services/orders/state/order-projection.ts";
import type { StoreFiles } from "../../src/runtime/store/store-files.ts";
import { compareRows, Violation } from "../reference/violation.ts";
import { auditIndex } from "./audit-index.ts";
import { createsBytes, Prefixes, rowsOf } from "./prefixes.ts";
import { type Instance, type World } from "./world.ts";

type Position = [partition: number, nextOffset: number];

/**
 * Compares every store of every process, including those of partitions that it lost long ago, and every owner's and
 * every standby's digest with that of a new store that folded the log in other batches. Throws a Violation.
 */
export function auditStores(world: World): void {
  const prefixes = new Prefixes(world);
  for (const instance of world.instances) auditStoresOf(world, instance, prefixes);
  auditDigests(world, prefixes);
}

/**
 * Compares the process's stores, as their files are, with the prefix of the log that the saved position names: all of
 * all rows, the counts and the digest, and nothing else. Throws a Violation.
 */
export function auditStoresOf(world: World, instance: Instance, prefixes: Prefixes): void {
  const { name, role, disk } = instance;
  for (const [file, files] of disk.stores()) {
    const positions = files.db.query("SELECT partition, next_offset FROM position ORDER BY partition").values() as Position[];
    if (positions.some((position) => mayHaveGhosts(world, instance, position))) continue;
    const where = `${name}'s ${file} at ${positions.map((position) => position.join(":")).join()}`;
    if (role === "cart")
      auditIndex(
        where,
        files,
        positions.flatMap(([partition, nextOffset]) => prefixes.records(partition, nextOffset)),
      );
    else auditRows(where, files, prefixes, positions[0] ?? [0, 0]);
  }
}

/** Whether the store may have applied what the log has lost since, and nobody answers from it. */
function mayHaveGhosts(world: World, { running }: Instance, [partition, nextOffset]: Position): boolean {
  if (nextOffset <= world.losses.firstLostOffset(partition)) return false;
  const held = running?.cart?.partitions.get(partition) ?? running?.orders?.partitions.actors.get(partition);
  return held === undefined || held.state === "halted";
}

function auditRows(where: string, files: StoreFiles, prefixes: Prefixes, [partition, nextOffset]: Position): void {
  const store = orderProjection.open(files, partition);
  const { rows, ...expected } = prefixes.expected(partition, nextOffset);
  compareRows("stores-are-prefixes", where, rowsOf(store.view), rows);
  const found = { ...store.view.counts(), digest: store.digest, creates_bytes: createsBytes(files) };
  const wanted = { ...expected, ...prefixes.foldedAnew(partition, nextOffset) };
  compareRows("stores-are-prefixes", where, [JSON.stringify(found)], [JSON.stringify(wanted)]);
}

function auditDigests(world: World, prefixes: Prefixes): void {
  for (const { orders, owner } of world.running("order-service")) {
    for (const { partition, nextOffset, digest, state } of orders?.partitions.actors.values() ?? []) {
      if (state === "halted") continue;
      const { digest: expected } = prefixes.foldedAnew(partition, nextOffset);
      if (digest !== expected)
        throw new Violation(
          "digests-agree",
          `partition ${partition} at ${owner.name} has ${digest}, and folded anew ${expected}`,
        );
    }
  }
}
