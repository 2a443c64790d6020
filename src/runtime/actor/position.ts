import type { Mark } from "../store/position/applied-mark.ts";
import type { Applied } from "./continuity.ts";

/** The position that the store keeps. */
export interface Position extends Omit<Applied, "nextOffset"> {
  nextOffset: number | undefined;
  topicId: string | undefined;
  firstOffset: number | undefined;
  /** What had been applied before a crash, beyond `nextOffset`. */
  readonly expected?: Mark | undefined;
  /** See `PartitionStore.isRestored`. */
  readonly isRestored?: boolean;
  reachedEnd?(): void;
}
