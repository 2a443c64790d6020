import { Type } from "@sinclair/typebox";
import { isAppError } from "../../../errors.ts";
import { type Endpoint, endpoint } from "../../../http/endpoint/endpoint.ts";
import { queryParameter } from "../../../http/endpoint/parameter.ts";
import { STREAM_HEADERS } from "../../../http/headers.ts";
import { Permits } from "../../../http/permits.ts";
import { orderIdSchema } from "../../../orders/events/fields.ts";
import type { Clock } from "../../../system/clock.ts";
import type { Logger } from "../../../telemetry/logger.ts";
import type { NewestRecords } from "../query/newest-records.ts";
import { FleetOrderIds } from "./fleet-order-ids.ts";
import { mergedOrderIds, requireListable } from "./merged-order-ids.ts";
import { emptyListing, type OrderIds, orderListing, Turns } from "./order-listing.ts";
import type { HeldPartitions } from "../../../runtime/held-partitions.ts";
import type { Fleet } from "../../../fleet/fleet.ts";

export interface OrderIdsOptions {
  readonly partitions: HeldPartitions;
  readonly newest: Pick<NewestRecords, "requireApplied">;
  readonly fleet: Fleet;
  /** As FleetOrderIds takes it. */
  readonly page_ids_max?: number | undefined;
  /** The topic consumed here; every other topic has no orders. */
  readonly orders_topic: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How many listings may run at the same time; each holds some pages of ids. */
export const LISTINGS_MAX = 32;

const listingHeaders = { "content-type": "application/json", ...STREAM_HEADERS };

export const orderIds = (options: OrderIdsOptions): Endpoint => {
  const { partitions, newest, fleet, orders_topic, clock, logger } = options;
  const permits = new Permits(LISTINGS_MAX, "listings");
  const turns = new Turns(clock);
  const topicParameter = queryParameter("topicName", {
    description: "The topic the orders come from.",
    schema: Type.String({ minLength: 1, must: `be the name of a topic, such as ${orders_topic}` }),
    example: "orders.events",
  });
  return endpoint({
    method: "GET",
    path: "/getAllOrderIdsFromTopic",
    documentation: {
      id: "orderIds",
      tag: "Orders",
      summary: "The ids of all orders",
      description:
        "Each once, ascending, also those known only from an update; streamed. A topic never consumed gives an empty list.",
      answers: {
        200: {
          description: "The ids.",
          schema: Type.Object({ topicName: Type.String(), orderIds: Type.Array(orderIdSchema) }, { title: "OrderIds" }),
          example: { topicName: "orders.events", orderIds: ["ORD-123", "ORD-124"] },
          headers: ["Cache-Control", "X-Accel-Buffering"],
          optionalHeaders: ["Partitions-Elsewhere"],
        },
      },
      errors: [
        "INVALID_FIELD",
        "PARTITION_ELSEWHERE",
        "LOG_UNAVAILABLE",
        "CATCHING_UP",
        "PARTITION_HALTED",
        "PARTITION_BLOCKED",
        "OWNER_UNREACHABLE",
      ],
    },
    parameters: [topicParameter],
    handle: async ({ client, span }, { topicName }) => {
      if (topicName !== orders_topic) return new Response(emptyListing(topicName), { headers: listingHeaders });
      const elsewhere = partitionsElsewhere(partitions, fleet);
      const release = permits.acquire(client);
      try {
        const held = Array.from(partitions.held(), ({ partition }) => partition);
        const isAlone = fleet.members.peers.length === 0;
        if ((elsewhere.length === 0 || isAlone) && (await areListable(partitions, newest, held, isAlone))) {
          const missing = elsewhere.length === 0 ? {} : { "partitions-elsewhere": elsewhere.join(",") };
          const body = orderListing(topicName, heldOrderIds(mergedOrderIds(partitions, held)), turns, release, logger);
          return new Response(body, { headers: { ...listingHeaders, ...missing } });
        }
        const partitionCount = Math.max(partitions.partitionCount, fleet.members.partitionCount);
        const ids = new FleetOrderIds(partitionCount, { ...options, span });
        await ids.load();
        return new Response(orderListing(topicName, ids, turns, release, logger), { headers: listingHeaders });
      } catch (e) {
        release();
        throw e;
      }
    },
  });
};

/** Whether they can be listed here; false if one has moved to a peer meanwhile. Rejects with why else they cannot be. */
const areListable = async (
  partitions: HeldPartitions,
  newest: Pick<NewestRecords, "requireApplied">,
  held: readonly number[],
  isAlone: boolean,
): Promise<boolean> => {
  try {
    await requireListable(partitions, newest, held);
    return true;
  } catch (e) {
    if (isAlone || !isAppError(e, "PARTITION_ELSEWHERE")) throw e;
    return false;
  }
};

/** The partitions that other instances hold, in ascending order. */
const partitionsElsewhere = (partitions: HeldPartitions, { members }: Fleet): number[] => {
  const elsewhere: number[] = [];
  const partitionCount = Math.max(partitions.partitionCount, members.partitionCount);
  for (let p = 0; p < partitionCount; p++) if (partitions.get(p) === undefined) elsewhere.push(p);
  return elsewhere;
};

/** Ids that are all held here need not be waited for. */
const heldOrderIds = (ids: Iterator<string>): OrderIds => ({ next: () => ids.next(), load: () => Promise.resolve() });
