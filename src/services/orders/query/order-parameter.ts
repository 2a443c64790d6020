import { Type } from "@sinclair/typebox";
import { normalizeOrderId, ORDER_ID_DIGITS_MAX } from "../../../orders/order-id.ts";

/** The order id in a path or a query. Its value is the id as events write it. */
export const orderIdParameter = {
  description: "With or without ORD-.",
  schema: Type.String({
    pattern: `^(ORD-)?[0-9]{1,${ORDER_ID_DIGITS_MAX}}$`,
    must: `be 1 to ${ORDER_ID_DIGITS_MAX} digits, with or without ORD- before them, such as ORD-123`,
  }),
  example: "ORD-123",
  decode: normalizeOrderId,
} as const;
