import { Type } from "@sinclair/typebox";
import { documentOperations } from "../../api/document-operations.ts";
import { healthOperations, partitionExample, readinessProperties } from "../../api/health-operations.ts";
import type { Answer, Operation, ServiceApi } from "../../api/openapi.ts";
import { orderIdSchema } from "../../orders/events/fields.ts";
import { heldWordSchema } from "../../orders/events/kinds.ts";
import { orderFields } from "../../orders/order.ts";
import { HELD_UPDATES_MAX } from "../../orders/outcomes.ts";
import { ORDER_ID_DIGITS_MAX } from "../../orders/order-id.ts";
import { ROWS_DEFAULT, ROWS_MAX } from "./operator/operator-routes.ts";
import { viewOperations } from "./view-operations.ts";

const money = (description: string) => Type.Number({ minimum: 0, description: `${description} Written with two decimals.` });

const order = Type.Object(Object.fromEntries(orderFields.map(({ member, schema }) => [member, Type.Unsafe<unknown>(schema)])), {
  title: "Order",
});
const orderExample = {
  orderId: "ORD-123",
  customerId: "CUST-00042",
  orderDate: "2026-11-22T21:42:39.413Z",
  items: [{ itemId: "ITEM-001", quantity: 3, price: 50 }],
  totalAmount: 150,
  currency: "USD",
  status: "confirmed",
};

const json = (answer: Answer): Answer => ({ headers: ["Cache-Control"], ...answer });

const queries: readonly Operation[] = [
  {
    method: "GET",
    path: "/order-details",
    id: "orderDetails",
    tag: "Orders",
    summary: "One order and what its shipping costs",
    description: "404 only if every partition is held here and has caught up.",
    parameters: [
      {
        name: "orderId",
        in: "query",
        required: true,
        description: "With or without ORD-.",
        schema: Type.String({ pattern: `^(ORD-)?[0-9]{1,${ORDER_ID_DIGITS_MAX}}$` }),
        example: "ORD-123",
      },
    ],
    headers: ["Log-Position"],
    answers: {
      200: json({
        description: "The order.",
        schema: Type.Object({ order, shippingCost: money("2 % of the total, rounded half up.") }, { title: "OrderDetails" }),
        example: { order: orderExample, shippingCost: 3 },
      }),
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
  {
    method: "GET",
    path: "/getAllOrderIdsFromTopic",
    id: "orderIds",
    tag: "Orders",
    summary: "The ids of all orders in the partitions held here",
    description:
      "Each once, ascending, also those known only from an update; streamed. A topic never consumed gives an empty list.",
    parameters: [
      {
        name: "topicName",
        in: "query",
        required: true,
        description: "The topic the orders come from.",
        schema: Type.String({ minLength: 1 }),
        example: "orders.events",
      },
    ],
    answers: {
      200: json({
        description: "The ids.",
        headers: ["Cache-Control", "X-Accel-Buffering"],
        schema: Type.Object({ topicName: Type.String(), orderIds: Type.Array(orderIdSchema) }, { title: "OrderIds" }),
        example: { topicName: "orders.events", orderIds: ["ORD-123", "ORD-124"] },
        optionalHeaders: ["Partitions-Elsewhere"],
      }),
    },
    errors: ["INVALID_FIELD", "LOG_UNAVAILABLE", "CATCHING_UP", "PARTITION_HALTED", "PARTITION_BLOCKED"],
  },
];

const partitionParameter = {
  name: "partition",
  in: "path",
  description: "Its number.",
  schema: Type.String({ pattern: "^[0-9]{1,9}$" }),
  example: "3",
} as const;

const operators: readonly Operation[] = [
  {
    method: "GET",
    path: "/partitions",
    id: "partitions",
    tag: "Operating",
    summary: "The partitions held here, with offset and digest",
    answers: {
      200: json({
        description: "The partitions.",
        schema: Type.Object(
          {
            topicName: Type.String(),
            partitionCount: Type.Integer({ minimum: 0, description: "Of the topic; 0 until it is known." }),
            ...readinessProperties,
          },
          { title: "Partitions" },
        ),
        example: {
          log: "Kafka at redpanda-0:9092",
          topicName: "orders.events",
          partitionCount: 12,
          status: "ready",
          partitions: [partitionExample],
        },
      }),
    },
  },
  {
    method: "GET",
    path: "/partitions/:partition/orders",
    id: "partitionOrders",
    tag: "Operating",
    summary: "A partition's rows, a page at a time",
    description: "All that the digest is of, and the offset that belongs to it.",
    parameters: [
      partitionParameter,
      {
        name: "after",
        in: "query",
        description: "The last id of the page before.",
        schema: Type.String(),
        example: "ORD-7",
      },
      {
        name: "limit",
        in: "query",
        description: "Rows of the page.",
        schema: Type.Integer({ minimum: 1, maximum: ROWS_MAX, default: ROWS_DEFAULT }),
        example: 100,
      },
    ],
    answers: {
      200: json({
        description: "Rows, ascending by id.",
        schema: Type.Object(
          {
            partition: Type.Integer({ minimum: 0 }),
            offset: Type.Integer({ minimum: 0 }),
            orders: Type.Array(
              Type.Object(
                {
                  orderId: orderIdSchema,
                  order: Type.Union([order, Type.Null()], { description: "null while only updates of it are known." }),
                  held: Type.Array(heldWordSchema, {
                    maxItems: HELD_UPDATES_MAX,
                    description: "Updates that wait for the create.",
                  }),
                  eventIds: Type.Array(Type.String(), { description: "Of the events that counted; in no order." }),
                },
                { title: "OrderRow" },
              ),
              { maxItems: ROWS_MAX },
            ),
          },
          { title: "PartitionOrders" },
        ),
        example: {
          partition: 3,
          offset: 1712,
          orders: [
            { orderId: "ORD-123", order: orderExample, held: [], eventIds: ["6f8a2c1e-0000-4000-8000-000000000001"] },
            { orderId: "ORD-124", order: null, held: ["shipped"], eventIds: ["6f8a2c1e-0000-4000-8000-000000000002"] },
          ],
        },
      }),
    },
    errors: ["NOT_FOUND", "PARTITION_ELSEWHERE", "INVALID_FIELD", "CATCHING_UP"],
  },
  {
    method: "POST",
    path: "/partitions/:partition/rebuild",
    id: "rebuildPartition",
    tag: "Operating",
    summary: "Set a partition's store aside and rebuild it from the log",
    description: "Queries that need it are answered 503 meanwhile.",
    parameters: [partitionParameter],
    operatorOnly: true,
    answers: {
      202: json({
        description: "The rebuild has begun.",
        schema: Type.Object({ message: Type.String(), partition: Type.Integer({ minimum: 0 }) }, { title: "Rebuilding" }),
        example: { message: "partition 3 is rebuilt from the log", partition: 3 },
      }),
    },
    errors: ["OPERATOR_TOKEN_NEEDED", "OPERATOR_ONLY", "NOT_FOUND", "PARTITION_ELSEWHERE", "OPERATOR_TOKEN_GUESSED"],
  },
];

export const orderServiceApi: ServiceApi = {
  title: "Order service",
  description: "Answers queries about the orders in the partitions it holds.",
  operations: [...queries, ...operators, ...viewOperations, ...healthOperations, ...documentOperations],
};
