import { Type } from "@sinclair/typebox";
import { isAppError } from "../../../errors.ts";
import { type Endpoint, endpoint } from "../../../http/endpoint/endpoint.ts";
import { jsonAnswer } from "../../../http/endpoint/json-answer.ts";
import { queryParameter } from "../../../http/endpoint/parameter.ts";
import { requestedPosition } from "../../../http/endpoint/request-headers.ts";
import { formatMoney, shippingCost } from "../../../orders/money.ts";
import { type Order, orderJson } from "../../../orders/order.ts";
import { moneySchema, orderExample, orderSchema } from "./order-schema.ts";
import { orderIdParameter } from "./order-parameter.ts";
import { findOrder, type PartitionOf, unreadOf } from "./queries.ts";
import { type PositionWaits, waitForRequested } from "./requested-position.ts";
import type { UnreadRecords } from "./unread-records.ts";

export interface OrderDetailsOptions extends PositionWaits {
  readonly partitionOf: PartitionOf;
  readonly unread?: UnreadRecords;
}

export const orderDetails = (options: OrderDetailsOptions): Endpoint =>
  endpoint({
    method: "GET",
    path: "/order-details",
    documentation: {
      id: "orderDetails",
      tag: "Orders",
      summary: "One order and what its shipping costs",
      description: "404 only if every partition is held here and has caught up.",
      answers: {
        200: {
          description: "The order.",
          schema: Type.Object(
            { order: orderSchema, shippingCost: moneySchema("2 % of the total, rounded half up.") },
            { title: "OrderDetails" },
          ),
          example: { order: orderExample, shippingCost: 3 },
          headers: ["Cache-Control"],
        },
      },
      errors: [
        "LOG_POSITION_INVALID",
        "ORDER_NOT_FOUND",
        "PARTITION_ELSEWHERE",
        "INVALID_FIELD",
        "LOG_UNAVAILABLE",
        "CATCHING_UP",
        "PARTITION_HALTED",
        "PARTITION_BLOCKED",
        "POSITION_NOT_REACHED",
      ],
    },
    parameters: [queryParameter("orderId", orderIdParameter), requestedPosition],
    handle: async ({ client }, parameters) => {
      const { orderId } = parameters;
      await waitForRequested(parameters["Log-Position"], client, options);
      const order = await find(options, orderId, client);
      const shipping = formatMoney(shippingCost(order.created.total_hundredths));
      return jsonAnswer(`{"order":${orderJson(order)},"shippingCost":${shipping}}`);
    },
  });

/** If no partition knows the order, it is also looked for among the records that partitions have not applied. */
async function find({ partitions, partitionOf, unread }: OrderDetailsOptions, orderId: string, client: string): Promise<Order> {
  try {
    return findOrder(partitions, partitionOf, orderId);
  } catch (e) {
    const behind = unreadOf(partitions, partitionOf, orderId);
    if (!isAppError(e) || e.code === "ORDER_NOT_FOUND" || behind.length === 0 || !unread) throw e;
    return findOrder(partitions, partitionOf, orderId, await unread.without(orderId, behind, client));
  }
}
