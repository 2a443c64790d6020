import { writeChange } from "../../../orders/events/kinds.ts";
import { orderJson } from "../../../orders/order.ts";
import type { OrderRow } from "./orders-view.ts";

/** The members of a row's JSON object, without the braces. */
export const rowMembers = ({ orderId, order, held, eventIds }: OrderRow): string =>
  `"orderId":${JSON.stringify(orderId)},"order":${order ? orderJson(order) : "null"}` +
  `,"held":${JSON.stringify(held.map(writeChange))},"eventIds":${JSON.stringify(eventIds)}`;
