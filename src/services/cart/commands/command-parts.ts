import type { AppError } from "../../../errors.ts";
import { Appender, type AppenderOptions } from "../../../log/append/appender.ts";
import type { Log, TopicEnds } from "../../../log/port.ts";
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
  "ownCreates" | "elsewhere" | "append_wait_ms_max" | "clock" | "random" | "newUuid"
> {
  readonly log: Pick<Log, "producer" | "ends" | "endOffsets">;
  readonly topic: string;
  /** The partitions whose actors fill the index. */
  readonly partitions: HeldPartitions;
  readonly projection: Projection<IndexView>;
  readonly onDisagreement: (partition: number, error: AppError) => void;
  readonly append: Omit<AppenderOptions, "producer" | "topic" | "clock">;
  readonly place: Omit<PlacementOptions, "catchUp" | "hindrance" | "clock">;
  /**
   * Called with where the log ended, once that is read here, and where it ends now, before creates are placed by another
   * partition count.
   */
  readonly onCaughtUp?: (ends: TopicEnds, now: TopicEnds) => void;
}

/** The commands, and those of their parts that outlive a single request. None of them starts anything by itself. */
export interface CommandParts {
  readonly index: OrderIndex;
  readonly progress: IndexProgress;
  readonly appender: Appender;
  readonly placement: Placement;
  readonly commands: CartCommands;
}

/** Builds what a cart does with its requests, on an index, whatever it is that reads the log into that index. */
export function commandParts(options: CommandPartsOptions): CommandParts {
  const { log, topic, partitions, projection, ownCreates, elsewhere, onCaughtUp, onDisagreement, clock } = options;
  const homes = (orderId: string) => placement.homes(orderId);
  const index = new OrderIndex({
    partitions,
    projection,
    ownCreates,
    partitioner: options.place.partitioner,
    homes,
    onDisagreement,
  });
  const progress = new IndexProgress({
    partitions,
    log,
    topic,
    isElsewhere: (partition) => elsewhere.isElsewhere(partition),
    isShort: (partition) => elsewhere.isShort(partition),
    clock,
  });
  const appender = new Appender({ ...options.append, producer: log.producer(), topic, clock });
  const placement: Placement = new Placement({
    ...options.place,
    catchUp: async (deadline_ms) => {
      const ends = onCaughtUp && (await log.ends(topic));
      await progress.untilEnd(undefined, (partition) => index.knownEnd(partition), deadline_ms);
      if (ends) onCaughtUp(ends, await log.ends(topic));
    },
    hindrance: () => progress.hindrance(),
    clock,
  });
  return {
    index,
    progress,
    appender,
    placement,
    commands: new LogCartCommands({ ...options, index, progress, appender, placement }),
  };
}
