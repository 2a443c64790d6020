import type { PartitionStore } from "../../../src/runtime/store/store.ts";

/** Saves what the store's projections have folded, as applied up to `nextOffset`. */
export async function saveAt(store: PartitionStore, nextOffset: number): Promise<void> {
  store.keep(nextOffset, store.last);
  const saving = store.save();
  await saving.synced;
  saving.commit();
}
