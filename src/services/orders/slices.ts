import type { Endpoint } from "../../http/endpoint/endpoint.ts";
import type { Projection } from "../../runtime/projection.ts";
import type { Projections } from "../../runtime/projections.ts";
import type { OrderDetailsOptions } from "./query/order-details-endpoint.ts";
import type { OrderIdsOptions } from "./listing/order-ids-endpoint.ts";
import { orderSlice } from "./query/order-slice.ts";

export interface SliceOptions extends OrderDetailsOptions, OrderIdsOptions {}

/** A kind of question about orders: a projection of each partition, and the endpoints that answer from it. */
export interface Slice {
  readonly projection: Projection<unknown>;
  readonly endpoints: (options: SliceOptions) => readonly Endpoint[];
}

/** A new question is a folder that exports its slice, and a line here. */
const SLICES: readonly [Slice, ...Slice[]] = [orderSlice];

const [first, ...others] = SLICES;
export const ORDER_SERVICE_PROJECTIONS: Projections = [first.projection, ...others.map(({ projection }) => projection)];

export const sliceEndpoints = (options: SliceOptions): Endpoint[] => SLICES.flatMap(({ endpoints }) => endpoints(options));
