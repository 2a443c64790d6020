import { Type } from "@sinclair/typebox";
import { type Endpoint, endpoint } from "../../../http/endpoint/endpoint.ts";
import { type Status, STATUS_ORDER_RULE, STATUSES } from "../../../orders/order.ts";
import type { CartCommands } from "../commands/commands.ts";
import { checkerOf, either, normalized, oneOf, orderIdField, requireObject } from "./body-fields.ts";
import { commandErrors, publishedAnswer, publishedResponse } from "./command-answers.ts";
import { contextHeaders, requestContext } from "./request-context.ts";

const schema = Type.Object({ order_id: orderIdField, status: oneOf(STATUSES, STATUS_ORDER_RULE) });

const checked = checkerOf(schema);

export interface UpdateOrder {
  readonly orderId: string;
  readonly status: Status;
}

/** Throws INVALID_FIELD with a sentence for each wrong field. */
export const parseUpdateOrder = (body: unknown): UpdateOrder => {
  const raw = requireObject(body);
  const { order_id, status } = checked({ order_id: either(raw, "order_id", "orderId"), status: raw.status });
  return { orderId: normalized(order_id), status };
};

/** The text of which the fingerprint is made; it is the same for every spelling of one request. */
const canonical = ({ orderId, status }: UpdateOrder): string => JSON.stringify([orderId, status]);

const PUBLISHED = "order status updated and published successfully";

const at = { method: "PUT", path: "/update-order" } as const;

export const updateOrder = (commands: CartCommands, body_bytes_max: number): Endpoint =>
  endpoint({
    ...at,
    documentation: {
      id: "updateOrder",
      tag: "Orders",
      summary: "Update an order's status",
      description: "Publishes ORDER_STATUS_UPDATED in the partition where the order was created.",
      answers: { 200: publishedAnswer("Updated", PUBLISHED) },
      errors: ["ORDER_NOT_FOUND", ...commandErrors],
    },
    parameters: contextHeaders,
    body: {
      schema: { ...schema, title: "UpdateOrder" },
      examples: {
        confirm: { order_id: "ORD-123", status: "confirmed" },
        "in camelCase": { orderId: "123", status: "shipped" },
      },
      body_bytes_max,
      parse: parseUpdateOrder,
    },
    handle: async (request, headers, command) => {
      const context = requestContext(request, headers, at, canonical, command);
      const { orderId, status } = command;
      const change = { type: "ORDER_STATUS_UPDATED", status } as const;
      return publishedResponse(PUBLISHED, orderId, await commands.change(orderId, change, context));
    },
  });
