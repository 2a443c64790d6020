import { type TSchema, Type } from "@sinclair/typebox";
import { documentOperations } from "../../../api/document-operations.ts";
import { healthOperations } from "../../../api/health-operations.ts";
import type { Operation, ServiceApi } from "../../../api/openapi.ts";
import type { ErrorCode } from "../../../errors.ts";
import { orderIdSchema } from "../../../orders/events/fields.ts";
import { createOrderBody, updateOrderBody } from "./requests.ts";

const published = (title: string, message: string): TSchema =>
  Type.Object({ message: Type.Literal(message), orderId: orderIdSchema }, { title });

const errors: readonly ErrorCode[] = [
  "NOT_JSON",
  "IDEMPOTENCY_KEY_INVALID",
  "IDEMPOTENCY_KEY_IN_USE",
  "BODY_TOO_SLOW",
  "BODY_TOO_LARGE",
  "EVENT_TOO_LARGE",
  "NOT_JSON_TYPE",
  "EXPECTATION_FAILED",
  "INVALID_FIELD",
  "IDEMPOTENCY_KEY_REUSED",
  "LOG_UNAVAILABLE",
  "APPEND_OUTCOME_UNKNOWN",
  "APPEND_REFUSED",
  "CATCHING_UP",
  "PARTITION_HALTED",
  "PARTITION_BLOCKED",
];

const CREATED = "order created and published successfully";
const UPDATED = "order status updated and published successfully";

const commands: readonly Operation[] = [
  {
    method: "POST",
    path: "/create-order",
    id: "createOrder",
    tag: "Orders",
    summary: "Create an order",
    description:
      "Publishes ORDER_CREATED. 200 only after all in-sync replicas have it and it is the order's first create. Without items the cart is filled as a demo.",
    headers: ["Idempotency-Key", "traceparent", "tracestate"],
    body: {
      schema: { ...createOrderBody, title: "CreateOrder" },
      examples: {
        demo: { order_id: "123", number_of_items: 3 },
        "a cart of your own": {
          order_id: "124",
          customer_id: "CUST-1",
          currency: "EUR",
          items: [{ item_id: "A", quantity: 2, price: 9.95 }],
        },
        "in camelCase": { orderId: "ORD-125", numberOfItems: 1 },
      },
    },
    answers: {
      200: {
        description: "It is in the log.",
        schema: published("Created", CREATED),
        example: { message: CREATED, orderId: "ORD-123" },
        headers: ["Log-Position"],
      },
    },
    errors: ["ORDER_EXISTS", ...errors],
  },
  {
    method: "PUT",
    path: "/update-order",
    id: "updateOrder",
    tag: "Orders",
    summary: "Update an order's status",
    description: "Publishes ORDER_STATUS_UPDATED in the partition where the order was created.",
    headers: ["Idempotency-Key", "traceparent", "tracestate"],
    body: {
      schema: { ...updateOrderBody, title: "UpdateOrder" },
      examples: {
        confirm: { order_id: "ORD-123", status: "confirmed" },
        "in camelCase": { orderId: "123", status: "shipped" },
      },
    },
    answers: {
      200: {
        description: "It is in the log.",
        schema: published("Updated", UPDATED),
        example: { message: UPDATED, orderId: "ORD-123" },
        headers: ["Log-Position"],
      },
    },
    errors: ["ORDER_NOT_FOUND", ...errors],
  },
];

export const cartApi: ServiceApi = {
  title: "Cart service",
  description: "Takes orders and appends their events to the log.",
  operations: [...commands, ...healthOperations, ...documentOperations],
};
