import type { Projections } from "../../runtime/projections.ts";
import { orderProjection } from "./state/order-projection.ts";

/** What the order service folds each partition into. */
export const ORDER_SERVICE_PROJECTIONS: Projections = [orderProjection];
