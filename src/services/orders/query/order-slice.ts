import { orderProjection } from "../state/order-projection.ts";
import type { Slice } from "../slices.ts";
import { orderDetails } from "./order-details-endpoint.ts";
import { orderIds } from "../listing/order-ids-endpoint.ts";

/** The orders themselves: one by its id, and the ids of all. */
export const orderSlice: Slice = {
  projection: orderProjection,
  endpoints: (options) => [orderDetails(options), orderIds(options)],
};
