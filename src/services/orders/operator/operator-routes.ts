import { AppError } from "../../../errors.ts";
import { readiness } from "../../../http/health.ts";
import type { HttpRequest } from "../../../http/http-request.ts";
import { Permits } from "../../../http/permits.ts";
import type { Route } from "../../../http/service.ts";
import type { PartitionView } from "../../../runtime/projection.ts";
import { OperatorGuard, type OperatorGuardOptions } from "./operator-guard.ts";
import { orderJson } from "../query/order-json.ts";
import { Turns } from "../query/order-listing.ts";
import type { OrderPartitions, OrderRow, OrdersView } from "../query/queries.ts";

export interface OperatorRoutesOptions extends OperatorGuardOptions {
  readonly partitions: OrderPartitions;
  readonly log_name: string;
  readonly orders_topic: string;
  /** Sets the partition's store aside and rebuilds it from the log. */
  readonly rebuild: (partition: number) => void;
}

/** Rows of one answer. */
export const ROWS_DEFAULT = 200;
export const ROWS_MAX = 1_000;
/** Pages of rows at the same time: each is read in one turn of the event loop, in which nothing else is done. */
export const ROW_PAGES_MAX = 8;

/**
 * What an operator and `bun run audit` ask an instance: which partitions it holds, at which offset and digest; their rows, a page at a
 * time; and to rebuild one.
 */
export const operatorRoutes = (options: OperatorRoutesOptions): Route[] => {
  const { partitions, log_name, orders_topic, rebuild } = options;
  const guard = new OperatorGuard(options);
  const pages = new Permits(ROW_PAGES_MAX, "pages of rows");
  const turns = new Turns(options.clock);

  const heldOf = (request: HttpRequest): PartitionView<OrdersView> => {
    const segment = request.segment(1);
    const partition = /^[0-9]{1,9}$/.test(segment) ? Number(segment) : undefined;
    if (partition === undefined) throw new AppError("NOT_FOUND", "A partition is a number, such as in /partitions/3/orders.");
    const found = partitions.get(partition);
    if (found) return found;
    const { partitionCount } = partitions;
    // No other instance holds what the topic does not have. While that is not known, one may.
    if (partitionCount > 0 && partition >= partitionCount)
      throw new AppError("NOT_FOUND", `There is no partition ${partition}; the topic has ${partitionCount}.`);
    throw new AppError("PARTITION_ELSEWHERE", `Partition ${partition} is not held here.`, { partition });
  };

  const list = (): Response =>
    json({ log: log_name, topicName: orders_topic, partitionCount: partitions.partitionCount, ...readiness(partitions) });

  const rows = async (request: HttpRequest): Promise<Response> => {
    const release = pages.acquire(request.client);
    try {
      await turns.next();
      return rowsOf(request);
    } finally {
      release();
    }
  };

  const rowsOf = (request: HttpRequest): Response => {
    const one = heldOf(request);
    const after = request.parameter("after") ?? "";
    const limit = request.parameter("limit") ?? String(ROWS_DEFAULT);
    if (!/^[0-9]{1,4}$/.test(limit) || Number(limit) < 1 || Number(limit) > ROWS_MAX) {
      const detail = `limit must be an integer from 1 to ${ROWS_MAX}.`;
      throw new AppError("INVALID_FIELD", detail, { errors: [{ field: "limit", detail }] });
    }
    // Rows and offset are read in one turn, with nothing awaited between, so they belong together.
    const { partition, nextOffset, view } = one;
    if (!view) throw new AppError("CATCHING_UP", `Partition ${partition} is being opened; ask again.`, { partition });
    let page: readonly OrderRow[];
    try {
      page = view.rowsAfter(after, Number(limit));
    } catch (e) {
      throw one.failed(e);
    }
    const orders = page.map(
      ({ orderId, order, held, eventIds }) =>
        `{"orderId":${JSON.stringify(orderId)},"order":${order ? orderJson(order) : "null"}` +
        `,"held":${JSON.stringify(held)},"eventIds":${JSON.stringify(eventIds)}}`,
    );
    return new Response(`{"partition":${partition},"offset":${nextOffset},"orders":[${orders.join(",")}]}`, { headers });
  };

  const rebuildOne = (request: HttpRequest): Response => {
    guard.require(request);
    const { partition } = heldOf(request);
    rebuild(partition);
    return json({ message: `partition ${partition} is rebuilt from the log`, partition }, 202);
  };

  return [
    { method: "GET", path: "/partitions", handle: list },
    { method: "GET", path: "/partitions/:partition/orders", handle: rows },
    { method: "POST", path: "/partitions/:partition/rebuild", handle: rebuildOne },
  ];
};

const headers = { "content-type": "application/json", "cache-control": "no-store" };

const json = (body: unknown, status = 200): Response => new Response(JSON.stringify(body), { status, headers });
