import type { AppError } from "../../../errors.ts";
import { Appender, type AppenderOptions } from "../../../log/append/appender.ts";
import type { Log } from "../../../log/port.ts";
import type { HeldPartitions } from "../../../runtime/held-partitions.ts";
import type { Projection } from "../../../runtime/projection.ts";
import type { IndexView } from "../index/index-projection.ts";
import { IndexProgress } from "../index/index-progress.ts";
import { OrderIndex } from "../index/order-index.ts";
import { Placement, type PlacementOptions } from "../placement/placement.ts";
import { type CartCommandsOptions, LogCartCommands } from "./cart-commands.ts";
import type { CartCommands } from "./commands.ts";

export interface CommandPartsOptions extends Pick<
  CartCommandsOptions,
  "ownCreates" | "append_wait_ms_max" | "clock" | "random" | "newUuid"
> {
  readonly log: Pick<Log, "producer" | "ends">;
  readonly topic: string;
  /** The partitions whose actors fill the index. */
  readonly partitions: HeldPartitions;
  readonly projection: Projection<IndexView>;
  readonly onDisagreement: (partition: number, error: AppError) => void;
  readonly append: Omit<AppenderOptions, "producer" | "topic" | "clock">;
  readonly place: Omit<PlacementOptions, "catchUp" | "hindrance" | "clock">;
}

/** The commands, and those of their parts that outlive a single request. None of them starts anything by itself. */
export interface CommandParts {
  readonly index: OrderIndex;
  readonly appender: Appender;
  readonly placement: Placement;
  readonly commands: CartCommands;
}

/** Builds what a cart does with its requests, on an index, whatever it is that reads the log into that index. */
export function commandParts(options: CommandPartsOptions): CommandParts {
  const { log, topic, partitions, projection, ownCreates, onDisagreement, clock } = options;
  const index = new OrderIndex({ partitions, projection, ownCreates, onDisagreement });
  const progress = new IndexProgress({ partitions, ends: () => log.ends(topic), clock });
  const appender = new Appender({ ...options.append, producer: log.producer(), topic, clock });
  const placement = new Placement({
    ...options.place,
    catchUp: (deadline_ms) => progress.untilEnd(undefined, (partition) => index.knownEnd(partition), deadline_ms),
    hindrance: () => progress.hindrance(),
    clock,
  });
  return { index, appender, placement, commands: new LogCartCommands({ ...options, index, progress, appender, placement }) };
}
