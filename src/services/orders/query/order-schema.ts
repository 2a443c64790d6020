import { Type } from "@sinclair/typebox";
import { orderFields } from "../../../orders/order.ts";

/** The schema of an amount in an answer. */
export const moneySchema = (description: string) =>
  Type.Number({ minimum: 0, description: `${description} Written with two decimals.` });

/** The schema of an order in an answer. */
export const orderSchema = Type.Object(
  Object.fromEntries(orderFields.map(({ member, schema }) => [member, Type.Unsafe<unknown>(schema)])),
  { title: "Order" },
);

export const orderExample = Object.fromEntries(orderFields.map(({ member, example }) => [member, example]));
