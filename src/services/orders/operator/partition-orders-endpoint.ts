import { Type } from "@sinclair/typebox";
import { AppError } from "../../../errors.ts";
import { type Endpoint, endpoint } from "../../../http/endpoint/endpoint.ts";
import { jsonAnswer } from "../../../http/endpoint/json-answer.ts";
import { optionalQueryParameter } from "../../../http/endpoint/parameter.ts";
import { Permits } from "../../../http/permits.ts";
import { orderIdSchema } from "../../../orders/events/fields.ts";
import { heldWordSchema } from "../../../orders/events/kinds.ts";
import { HELD_UPDATES_MAX } from "../../../orders/outcomes.ts";
import { orderExample, orderSchema } from "../query/order-schema.ts";
import { Turns } from "../listing/order-listing.ts";
import { limitParameter } from "../query/pages.ts";
import { orderProjection } from "../state/order-projection.ts";
import { rowMembers } from "../state/order-row-json.ts";
import type { OrderRow } from "../state/orders-view.ts";
import { hopEndpoint } from "../../../fleet/hop-endpoint.ts";
import { answeredByOwner, PASSED_ON, type PassingOnOptions } from "../hops/passed-on.ts";
import { heldPartition, partitionParameter } from "./held-partition.ts";

export type PartitionOrdersOptions = PassingOnOptions;

/** The number of rows in one answer. */
const ROWS_DEFAULT = 200;
const ROWS_MAX = 1_000;
/**
 * How many pages of rows may be read at the same time. Each is read in one turn of the event loop, in which nothing
 * else runs.
 */
export const ROW_PAGES_MAX = 8;

const afterParameter = optionalQueryParameter("after", {
  description: "The last id of the page before.",
  schema: Type.String(),
  example: "ORD-7",
});

const rowSchema = Type.Object(
  {
    orderId: orderIdSchema,
    order: Type.Union([orderSchema, Type.Null()], { description: "null while only updates of it are known." }),
    held: Type.Array(heldWordSchema, { maxItems: HELD_UPDATES_MAX, description: "Updates that wait for the create." }),
    eventIds: Type.Array(Type.String(), { description: "Of the events that counted; in no order." }),
  },
  { title: "OrderRow" },
);

/** A partition's rows, for operators and `bun run audit`; and the same, asked by another member of the fleet. */
export const partitionOrders = (options: PartitionOrdersOptions): Endpoint[] => {
  const permits = new Permits(ROW_PAGES_MAX, "pages of rows");
  const rows = rowsHeld(options);
  const parameters = [
    partitionParameter,
    afterParameter,
    limitParameter(ROWS_DEFAULT, ROWS_MAX, "Rows of the page.", 100),
  ] as const;
  const permitted = async (client: string, answer: () => Promise<Response>): Promise<Response> => {
    const release = permits.acquire(client);
    try {
      return await answer();
    } finally {
      release();
    }
  };
  const ofClients = endpoint({
    method: "GET",
    path: PATH,
    documentation: {
      id: "partitionOrders",
      tag: "Operating",
      summary: "A partition's rows, a page at a time",
      description: "All that the digest is of, and the offset that belongs to it.",
      answers: {
        200: {
          description: "Rows, ascending by id.",
          schema: Type.Object(
            {
              partition: Type.Integer({ minimum: 0 }),
              offset: Type.Integer({ minimum: 0 }),
              orders: Type.Array(rowSchema, { maxItems: ROWS_MAX }),
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
          headers: ["Cache-Control"],
        },
      },
      errors: ["NOT_FOUND", "PARTITION_ELSEWHERE", "INVALID_FIELD", "CATCHING_UP", "OWNER_UNREACHABLE"],
    },
    parameters,
    handle: ({ client, span }, { partition, after = "", limit }) =>
      permitted(client, () => {
        const query = new URLSearchParams({ after, limit: String(limit) }).toString();
        const request = { path: `${PATH.replace(":partition", String(partition))}?${query}`, span };
        return answeredByOwner(partition, request, () => rows(partition, after, limit), options);
      }),
  });
  const ofPeers = hopEndpoint(options.fleet, {
    method: "GET",
    path: PASSED_ON + PATH,
    parameters,
    handle: ({ client }, { partition, after = "", limit }) => permitted(client, () => rows(partition, after, limit)),
  });
  return [ofClients, ofPeers];
};

const PATH = "/partitions/:partition/orders";

/** A page of the rows of a partition that is held here. */
function rowsHeld({ partitions, clock }: PartitionOrdersOptions) {
  const turns = new Turns(clock);
  return async (asked: number, after: string, limit: number): Promise<Response> => {
    await turns.next();
    const held = heldPartition(partitions, asked);
    // Rows and offset belong together: both are read in one turn, with nothing awaited in between.
    const { partition, nextOffset } = held;
    const view = held.view(orderProjection);
    if (!view) throw new AppError("CATCHING_UP", `Partition ${partition} is being opened; ask again.`, { partition });
    let rows: readonly OrderRow[];
    try {
      rows = view.rowsAfter(after, limit);
    } catch (e) {
      throw held.queryError(e);
    }
    return jsonAnswer(
      `{"partition":${partition},"offset":${nextOffset},"orders":[${rows.map((row) => `{${rowMembers(row)}}`).join(",")}]}`,
    );
  };
}
