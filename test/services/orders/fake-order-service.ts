import { systemClock } from "../../../src/system/clock.ts";
import { AppError } from "../../../src/errors.ts";
import { InFlight } from "../../../src/http/in-flight.ts";
import { serve } from "../../../src/http/serve.ts";
import { orderServiceApp } from "../../../src/services/orders/app.ts";
import type { Live } from "../../../src/services/orders/live/live.ts";
import { NewestRecords } from "../../../src/services/orders/query/newest-records.ts";
import type { PartitionEnds, TopicEnds } from "../../../src/log/port.ts";
import { endOffsetsIn } from "../../../src/log/read/end-offsets.ts";
import { NewestEnds } from "../../../src/runtime/read/newest-ends.ts";
import { OrderSearch } from "../../../src/services/orders/query/order-search.ts";
import type { LogScans } from "../../../src/services/orders/query/log-scan.ts";
import type { OrderRow, OrdersView } from "../../../src/services/orders/state/orders-view.ts";
import type { Order } from "../../../src/orders/order.ts";
import type { HeldPartitions, PartitionView } from "../../../src/runtime/held-partitions.ts";
import { createLogger } from "../../../src/telemetry/logger.ts";
import { loneFleet } from "../../support/fleets/lone-fleet.ts";
import { ApiDocument } from "../../support/http/api-document.ts";
import { onlyView } from "../../support/stores/only-view.ts";
import { statusChange } from "../../support/events/orders.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** A view of orders by id; the value is undefined for an id that only a held update knows. */
class FakeView implements OrdersView {
  constructor(readonly orders: Map<string, Order | undefined>) {}
  order(orderId: string): Order | undefined {
    return this.orders.get(orderId);
  }
  #sorted: string[] | undefined;
  hasRow(orderId: string): boolean {
    return this.orders.has(orderId);
  }
  counts() {
    return { orders: this.orders.size, held: 0 };
  }
  orderIdsAfter(after: string, limit: number): string[] {
    this.#sorted ??= [...this.orders.keys()].toSorted();
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#sorted[middle] ?? "") <= after) low = middle + 1;
      else high = middle;
    }
    return this.#sorted.slice(low, low + limit);
  }
  heldUpdates(): number {
    return 0;
  }

  rowsAfter(after: string, limit: number): OrderRow[] {
    return this.orderIdsAfter(after, limit).map((orderId) => {
      const known = this.orders.get(orderId);
      return {
        orderId,
        order: known,
        held: known ? [] : [statusChange("pending")],
        eventIds: [`e-${orderId}`],
      };
    });
  }
}

export type FakePartition = Mutable<PartitionView> & { waits: [offset: number, wait_ms_max: number][] };

/** The view of these orders; a string is the id of an order of which only a held update came. */
export const viewOf = (orders: readonly (Order | string)[]): PartitionView["view"] =>
  onlyView(
    new FakeView(
      new Map(orders.map((order) => (typeof order === "string" ? [order, undefined] : [order.created.orderId, order]))),
    ),
  );

/** A partition that is held, is running and has applied all records, unless `more` says otherwise. */
export const partition = (
  number: number,
  orders: readonly (Order | string)[] = [],
  more: Partial<FakePartition> = {},
): FakePartition => ({
  partition: number,
  state: "running",
  nextOffset: 10,
  endOffset: 10,
  halted: undefined,
  hindered: undefined,
  isComplete: (more.state ?? "running") === "running",
  hasBeenComplete: true,
  hasReachedEnd: true,
  isLagging: false,
  doubt: undefined,
  leaderEpoch: 0,
  startedAt: 0,
  digest: undefined,
  view: viewOf(orders),
  waits: [],
  queryError: (e) => new AppError("STORE_FAILED", String(e)),
  reached(offset, wait_ms_max) {
    this.waits.push([offset, wait_ms_max]);
    return Promise.resolve(this.nextOffset >= offset);
  },
  ...more,
});

/** The order service's HTTP side, with partitions made up for a test. */
export async function fakeOrderService() {
  const fake: Mutable<HeldPartitions> & { list: FakePartition[] } = {
    partitionCount: 0,
    membership: "stable",
    readFailure: undefined,
    standstill: undefined,
    restore: undefined,
    list: [],
    held: () => fake.list,
    get: (number) => fake.list.find((held) => held.partition === number),
  };
  const hold = (list: FakePartition[], partitionCount = list.length, membership = "stable") =>
    Object.assign(fake, { list, partitionCount, membership, readFailure: undefined, standstill: undefined, restore: undefined });
  /** What the log tells of its ends: by default what each partition was last heard to hold. */
  const log = {
    ends: (): Promise<TopicEnds> => {
      const partitions = Array.from({ length: fake.partitionCount }, (_, number): PartitionEnds => {
        const endOffset = fake.get(number)?.endOffset ?? 0;
        return { startOffset: 0, endOffset, stableOffset: endOffset, leaderEpoch: 0 };
      });
      return Promise.resolve({ topicId: undefined, partitions });
    },
  };
  const logged: string[] = [];
  const inFlight = new InFlight(100);
  const fleet = loneFleet();
  const newest = new NewestRecords(
    fake,
    new NewestEnds(
      { endOffsets: async (_topic, _wanted, isolation) => endOffsetsIn(await log.ends(), isolation) },
      "orders",
      systemClock,
    ),
    systemClock,
  );
  const search = new OrderSearch({
    partitions: fake,
    // The order's number modulo the partition count, so that a test can choose where an order belongs.
    partitionOf: (orderId, partitionCount) => Number(orderId.slice(4)) % partitionCount,
    fleet,
    newest,
    read_wait_ms_max: 1_234,
    inFlight,
    clock: systemClock,
  });
  const service = serve(
    orderServiceApp({
      partitions: fake,
      fleet,
      newest,
      search,
      log_name: "in memory",
      orders_topic: "orders.events",
      dead_letter_topic: "orders.events.dlq",
      operator_token: undefined,
      rebuild: () => undefined,
      appliedFrom: () => new Map(),
      // These are never called here.
      scans: {} as LogScans,
      live: {} as Live,
      cart: undefined,
      inFlight,
      host: "127.0.0.1",
      allowed_hosts: [],
      clock: systemClock,
      logger: createLogger({ level: "info", format: "json", write: (line) => logged.push(line) }),
    }),
    { host: "127.0.0.1", port: 0, portSetting: "ORDER_PORT", shutdown_wait_ms_max: 1_000, inFlight, clock: systemClock },
  );
  const { ask } = await ApiDocument.of(service.url);
  const listingUrl = `${service.url}/getAllOrderIdsFromTopic?topicName=`;
  return {
    url: service.url,
    port: service.port,
    stop: () => service.stop(),
    fake,
    hold,
    fleet,
    log,
    logged,
    inFlight,
    ask,
    details: (orderId: string, position?: string) =>
      ask(
        `${service.url}/order-details?orderId=${orderId}`,
        position === undefined ? {} : { headers: { "log-position": position } },
      ),
    listingUrl,
    listing: (topicName = "orders.events") => ask(listingUrl + topicName),
  };
}
