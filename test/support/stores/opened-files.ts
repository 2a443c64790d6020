import type { OpenedStore } from "../../../src/runtime/store/store-file.ts";
import type { StoreFiles } from "../../../src/runtime/store/store-files.ts";

/** The files of a store that was opened; throws if the store is unusable. */
export function openedFiles(opened: OpenedStore): StoreFiles {
  if ("unusable" in opened) throw new Error(opened.unusable);
  return opened.files;
}
