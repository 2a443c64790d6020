import type { AppError } from "../../errors.ts";
import type { PartitionEnds } from "../../log/port.ts";
import type { Duty } from "../standby/duty.ts";
import type { PartitionStore } from "../store/store.ts";
import type { ActorEnvironment } from "./actor-environment.ts";
import { Applier } from "./applier.ts";
import type { Hindrance } from "./hindrance.ts";
import { Reading } from "./reading.ts";
import { Saver } from "./saver.ts";

/**
 * The parts of an open partition: its store, where it stands against the log, what applies its batches, and what saves
 * them.
 */
export interface Opened {
  readonly store: PartitionStore;
  readonly reading: Reading;
  readonly applier: Applier;
  readonly saver: Saver;
}

/** Why only a person can tell what is right, and since when on the wall clock. */
interface Halt {
  readonly error: AppError;
  readonly since_ms: number;
  /** The log's end as last heard of since then, so that people see how far the partition falls behind. */
  endOffset?: number;
}

/**
 * A halted partition still shows what it has applied. A partition that was halted before it was closed still shows
 * why.
 */
export type Lifecycle =
  | { readonly is: "created"; readonly opened?: undefined; readonly halt?: undefined }
  | { readonly is: "open"; readonly opened: Opened; readonly halt?: undefined }
  | { readonly is: "halted"; readonly opened: Opened | undefined; readonly halt: Halt }
  | { readonly is: "draining"; readonly opened: Opened | undefined; readonly halt: Halt | undefined }
  | { readonly is: "stopped"; readonly opened?: undefined; readonly halt: Halt | undefined };

export const endOffsetOf = ({ opened, halt }: Lifecycle): number =>
  Math.max(opened?.reading.endOffset ?? 0, halt?.endOffset ?? 0);

/** Notes the end of a partition that does not read any more. Returns true, as it need not be asked again. */
export function hearHalted({ halt }: Lifecycle, told: PartitionEnds | undefined): true {
  if (halt !== undefined && told !== undefined && "endOffset" in told) halt.endOffset = told.endOffset;
  return true;
}

export interface OpenedOptions {
  readonly partition: number;
  readonly environment: ActorEnvironment;
  readonly duty: Duty;
  readonly hindrance: Hindrance;
  readonly store: PartitionStore;
  /** Aborts once the partition is halted or given up. */
  readonly ending: AbortSignal;
  readonly onHalt: (error: AppError) => void;
  readonly onDamaged: (reason: string) => void;
  readonly onStoreFailed: (e: unknown) => void;
  /** Called after each batch that is applied. */
  readonly onApplied: () => void;
}

export function openedWith(options: OpenedOptions): Opened {
  const { store } = options;
  const reading = new Reading({ ...options, position: store });
  const saver = new Saver({ ...options, onWorking: () => reading.forgetEnd() });
  const applier = new Applier({ ...options, saver, reading });
  return { store, reading, applier, saver };
}
