import { Type } from "@sinclair/typebox";
import { type Endpoint, endpoint } from "../../../http/endpoint/endpoint.ts";
import { jsonAnswer } from "../../../http/endpoint/json-answer.ts";
import { queryParameter } from "../../../http/endpoint/parameter.ts";
import { requestedPosition } from "../../../http/endpoint/request-headers.ts";
import { formatLogPosition } from "../../../log/log-position.ts";
import type { StaleMeter } from "../../../telemetry/meters.ts";
import { moneySchema, orderExample, orderSchema } from "./order-schema.ts";
import { orderIdParameter } from "./order-parameter.ts";
import type { OrderSearch, StaleAnswer } from "./order-search.ts";

/** Age is in whole seconds (RFC 9111), and never 0: that would say that the order is as it is now. */
const staleHeaders = ({ age_ms, position }: StaleAnswer): Readonly<Record<string, string>> => ({
  age: String(Math.max(1, Math.ceil(age_ms / 1_000))),
  "log-position": formatLogPosition(position),
});

export interface OrderDetailsOptions {
  readonly search: OrderSearch;
  readonly staleMeter?: StaleMeter | undefined;
}

export const orderDetails = ({ search, staleMeter }: OrderDetailsOptions): Endpoint =>
  endpoint({
    method: "GET",
    path: "/order-details",
    documentation: {
      id: "orderDetails",
      tag: "Orders",
      summary: "One order and what its shipping costs",
      description:
        "Whichever order service is asked. 404 only if all partitions were looked at and have caught up. With Age in the answer, whoever owns the order's partition could not be asked, or is more than 3 s behind the log: it is as it was then, or later. With Log-Position in the request there is no such answer.",
      answers: {
        200: {
          description: "The order.",
          schema: Type.Object(
            { order: orderSchema, shippingCost: moneySchema("2 % of the total, rounded half up.") },
            { title: "OrderDetails" },
          ),
          example: { order: orderExample, shippingCost: 3 },
          headers: ["Cache-Control"],
          optionalHeaders: ["Age", "Log-Position"],
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
        "OWNER_UNREACHABLE",
      ],
    },
    parameters: [queryParameter("orderId", orderIdParameter), requestedPosition],
    handle: async (request, parameters) => {
      const { orderId } = parameters;
      const { details, stale } = await search.details(orderId, parameters["Log-Position"], request);
      if (stale) staleMeter?.toldStale();
      return jsonAnswer(details, 200, stale && staleHeaders(stale));
    },
  });
