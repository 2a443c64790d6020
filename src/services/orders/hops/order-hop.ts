import { Type } from "@sinclair/typebox";
import type { Fleet } from "../../../fleet/fleet.ts";
import type { Endpoint } from "../../../http/endpoint/endpoint.ts";
import { jsonAnswer } from "../../../http/endpoint/json-answer.ts";
import { optionalQueryParameter, pathParameter } from "../../../http/endpoint/parameter.ts";
import { requestedPosition } from "../../../http/endpoint/request-headers.ts";
import type { Clock } from "../../../system/clock.ts";
import { orderIdParameter } from "../query/order-parameter.ts";
import { ORDER_QUESTION_PATH, writeToldOrder } from "../query/order-question.ts";
import type { OrderSearch } from "../query/order-search.ts";
import { hopEndpoint, partitionsParameter } from "../../../fleet/hop-endpoint.ts";

export interface OrderHopOptions {
  readonly fleet: Fleet;
  readonly search: OrderSearch;
  readonly clock: Clock;
}

/** What is known of an order in those of the partitions that are held here. */
export const orderHop = ({ fleet, search, clock }: OrderHopOptions): Endpoint =>
  hopEndpoint(fleet, {
    method: "GET",
    path: `${ORDER_QUESTION_PATH}/:orderId`,
    parameters: [
      pathParameter("orderId", orderIdParameter),
      partitionsParameter,
      optionalQueryParameter("home", {
        description: "Where the partitioner puts the order.",
        schema: Type.String({ pattern: "^[0-9]{1,9}$", must: "be a number of a partition" }),
        example: "3",
        decode: Number,
      }),
      optionalQueryParameter("whole", {
        description: "Whether all must be told, also once the create is found.",
        schema: Type.String({ pattern: "^true$", must: "be true" }),
        example: "true",
      }),
      optionalQueryParameter("stale", {
        description: "Whether an order may be told that may not be as it is now.",
        schema: Type.String({ pattern: "^true$", must: "be true" }),
        example: "true",
      }),
      requestedPosition,
    ],
    handle: async (request, parameters, deadline_ms) => {
      const { orderId, partitions, home, whole, stale } = parameters;
      const position = parameters["Log-Position"];
      const question = { orderId, home, position, isWhole: whole !== undefined, mayBeStale: stale !== undefined };
      const told = await search.here(question, partitions, request, deadline_ms - clock.now_ms());
      return jsonAnswer(writeToldOrder(told));
    },
  });
