import { Type } from "@sinclair/typebox";
import { type Endpoint, endpoint } from "../../../http/endpoint/endpoint.ts";
import { queryParameter } from "../../../http/endpoint/parameter.ts";
import { STREAM_HEADERS } from "../../../http/headers.ts";
import { Permits } from "../../../http/permits.ts";
import { orderIdSchema } from "../../../orders/events/fields.ts";
import type { Clock } from "../../../system/clock.ts";
import type { Logger } from "../../../telemetry/logger.ts";
import { mergedOrderIds } from "./merged-order-ids.ts";
import { emptyListing, orderListing, Turns } from "./order-listing.ts";
import { partitionsElsewhere, requireAllTrusted, requireAssignment } from "./queries.ts";
import type { HeldPartitions } from "../../../runtime/held-partitions.ts";

export interface OrderIdsOptions {
  readonly partitions: HeldPartitions;
  /** The topic consumed here; every other topic has no orders. */
  readonly orders_topic: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How many listings may run at the same time; each holds some pages of ids. */
export const LISTINGS_MAX = 32;

const listingHeaders = { "content-type": "application/json", ...STREAM_HEADERS };

export const orderIds = ({ partitions, orders_topic, clock, logger }: OrderIdsOptions): Endpoint => {
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
      summary: "The ids of all orders in the partitions held here",
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
      errors: ["INVALID_FIELD", "LOG_UNAVAILABLE", "CATCHING_UP", "PARTITION_HALTED", "PARTITION_BLOCKED"],
    },
    parameters: [topicParameter],
    handle: ({ client }, { topicName }) => {
      if (topicName !== orders_topic) return new Response(emptyListing(topicName), { headers: listingHeaders });
      requireAssignment(partitions);
      requireAllTrusted(partitions);
      const elsewhere = partitionsElsewhere(partitions);
      const missing = elsewhere.length === 0 ? {} : { "partitions-elsewhere": elsewhere.join(",") };
      const release = permits.acquire(client);
      const body = orderListing(topicName, mergedOrderIds(partitions), turns, release, logger);
      return new Response(body, { headers: { ...listingHeaders, ...missing } });
    },
  });
};
