import { join } from "node:path";
import type { Clock } from "../../system/clock.ts";
import type { Config } from "../../config/config.ts";
import { pageRoutes } from "../../http/page.ts";
import type { InFlight } from "../../http/in-flight.ts";
import type { Route } from "../../http/app.ts";
import type { Log } from "../../log/port.ts";
import { logName } from "../../log/log-name.ts";
import type { OrderFigures } from "../../telemetry/status-line.ts";
import { DeadLetterTally } from "./dead-letters/dead-letter-tally.ts";
import { historyRoutes } from "./history/history-routes.ts";
import { Live } from "./live/live.ts";
import type { LiveSampler } from "./live/live-sampler.ts";
import { LogScans } from "./query/log-scan.ts";
import { type OrderPartitions, type PartitionOf, totalOf } from "./query/queries.ts";
import { type CartHandle, tryRoutes } from "./page/try-routes.ts";
import { UnreadRecords } from "./query/unread-records.ts";

export interface ViewingOptions {
  readonly config: Config;
  readonly log: Log;
  readonly partitions: OrderPartitions;
  readonly partitionOf: PartitionOf;
  readonly sampler: LiveSampler;
  /** Where a cart runs in the same process. */
  readonly cart: CartHandle | undefined;
  readonly inFlight: InFlight;
  readonly clock: Clock;
}

/** What people look at, beside the contract's queries: histories, live figures and the page that shows them. */
export function viewing({ config, log, partitions, partitionOf, sampler, cart, inFlight, clock }: ViewingOptions): {
  readonly routes: readonly Route[];
  readonly unread: UnreadRecords;
  readonly orderFigures: () => OrderFigures;
  start(): void;
  close(): void;
} {
  const scans = new LogScans(log, clock);
  const about = {
    log: logName(config),
    topicName: config.orders_topic,
    deadLetterTopic: config.dead_letter_topic,
    isCartHere: cart !== undefined,
    cartPort: config.cart_port,
  };
  // Its own, so that counting never takes a request's turn.
  const tally = new DeadLetterTally(new LogScans(log, clock), config.orders_topic, config.dead_letter_topic);
  const live = new Live({ partitions, sampler, tally, about, clock });
  return {
    routes: [
      ...historyRoutes({ ...config, partitions, partitionOf, scans, inFlight }),
      ...live.routes,
      ...tryRoutes(cart),
      ...pageRoutes(join(import.meta.dir, "page", "index.html")),
    ],
    unread: new UnreadRecords(scans, config.orders_topic),
    orderFigures: () => ({ ...sampler.rates, orders: totalOf(partitions)?.orders }),
    start: () => live.start(),
    close: () => live.close(),
  };
}
