import type { Clock } from "../../system/clock.ts";
import type { Config } from "../../config/config.ts";
import type { Fleet } from "../../fleet/fleet.ts";
import type { InFlight } from "../../http/in-flight.ts";
import { partitionFor } from "../../log/partitioner.ts";
import type { Log } from "../../log/port.ts";
import { logName } from "../../log/log-kinds.ts";
import type { OrderFigures } from "../../telemetry/status-line.ts";
import { DeadLetterTally } from "./dead-letters/dead-letter-tally.ts";
import { Live } from "./live/live.ts";
import type { LiveSampler } from "./live/live-sampler.ts";
import { LogScans } from "./query/log-scan.ts";
import type { CartHandle } from "./page/try-endpoints.ts";
import { NewestRecords } from "./query/newest-records.ts";
import { OrderSearch } from "./query/order-search.ts";
import { totalOf } from "./query/queries.ts";
import type { HeldPartitions } from "../../runtime/held-partitions.ts";
import { NewestEnds } from "../../runtime/read/newest-ends.ts";
import { UnreadRecords } from "./query/unread/unread-records.ts";

export interface QuerySideOptions {
  readonly config: Config;
  readonly log: Log;
  readonly partitions: HeldPartitions;
  readonly fleet: Fleet;
  readonly inFlight: InFlight;
  readonly sampler: LiveSampler;
  /** The cart that runs in the same process, if one does. */
  readonly cart: CartHandle | undefined;
  readonly clock: Clock;
}

/** What the endpoints need besides the partitions' views: searches of the log, and live figures. */
export function querySide({ config, log, partitions, fleet, inFlight, sampler, cart, clock }: QuerySideOptions): {
  readonly scans: LogScans;
  readonly newest: NewestRecords;
  readonly search: OrderSearch;
  readonly live: Live;
  readonly orderFigures: () => OrderFigures;
  start(): void;
  close(): void;
} {
  const scans = new LogScans(log, clock);
  const about = {
    log: logName(config.log),
    topicName: config.orders_topic,
    deadLetterTopic: config.dead_letter_topic,
    isCartHere: cart !== undefined,
    cartPort: config.cart_port,
  };
  // The tally has its own scans, so that counting never takes a request's turn.
  const tally = new DeadLetterTally(new LogScans(log, clock), config.orders_topic, config.dead_letter_topic);
  const newest = new NewestRecords(partitions, new NewestEnds(log, config.orders_topic, clock), clock);
  const live = new Live({ partitions, fleet, sampler, tally, about, clock });
  return {
    scans,
    newest,
    live,
    search: new OrderSearch({
      partitions,
      partitionOf: (orderId, partitionCount) => partitionFor(config.partitioner, orderId, partitionCount),
      fleet,
      newest,
      unread: new UnreadRecords(log, config.orders_topic, clock),
      read_wait_ms_max: config.read_wait_ms_max,
      inFlight,
      clock,
    }),
    orderFigures: () => ({ ...sampler.rates, orders: totalOf(partitions)?.orders }),
    start: () => live.start(),
    close: () => live.close(),
  };
}
