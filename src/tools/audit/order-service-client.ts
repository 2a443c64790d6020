import { AppError } from "../../errors.ts";

/** What an order service says about a partition that it or another one of its fleet holds. */
export interface HeldPartition {
  readonly partition: number;
  /** The URL of the order service that holds it; absent if that is the one that was asked, or of an earlier version. */
  readonly owner?: string;
  readonly state: string;
  readonly offset: number;
  /** Missing while the partition's store is not open. */
  readonly digest?: string;
  readonly halted?: string;
  /** Why the partition does not go on now. */
  readonly reason?: string;
  /** The first offset that was folded; greater than 0 where the log had lost the records before it. */
  readonly startedAt?: number;
}

export interface ServiceRow {
  readonly orderId: string;
  /** The members of the order, as in the answer of `GET /order-details`. */
  readonly order: Readonly<Record<string, unknown>> | null;
  /** The held updates, one word each. */
  readonly held: readonly string[];
  readonly eventIds: readonly string[];
}

export interface RowsPage {
  /** The offset that the partition had when the rows were read. */
  readonly offset: number;
  readonly orders: readonly ServiceRow[];
}

/** A running order service, as an audit sees it. */
export interface OrderServiceClient {
  readonly url: string;
  partitions(): Promise<{
    readonly topicName: string;
    readonly partitionCount: number;
    readonly partitions: readonly HeldPartition[];
  }>;
  /** The rows with ids greater than `after`, in ascending order. */
  rows(partition: number, after: string): Promise<RowsPage>;
  rebuild(partition: number): Promise<void>;
}

const ANSWER_MS_MAX = 30_000;
const WHERE = "If the order service is elsewhere, set ORDER_PORT to its port, or --services to its URL.";
const NOT_FOUND = 404;

/**
 * Asks an order service over HTTP. A call rejects with SERVICE_UNAVAILABLE where the answer is missing, not 2xx, or not an
 * order service's.
 */
export function orderServiceClient(url: string, operator_token: string | undefined, page_rows: number): OrderServiceClient {
  const ask = async <T>(method: string, path: string): Promise<T> => {
    let response: Response;
    try {
      response = await fetch(`${url}${path}`, {
        method,
        headers: operator_token === undefined ? {} : { authorization: `Bearer ${operator_token}` },
        signal: AbortSignal.timeout(ANSWER_MS_MAX),
      });
    } catch (e) {
      const why = e instanceof Error ? e.message : String(e);
      throw new AppError("SERVICE_UNAVAILABLE", `${url} does not answer: ${why} ${WHERE}`, {}, e);
    }
    const text = await response.text();
    if (!response.ok) {
      const hint = response.status === NOT_FOUND ? ` ${WHERE}` : "";
      throw new AppError("SERVICE_UNAVAILABLE", `${url}${path} answers ${response.status}: ${detailOf(text)}${hint}`);
    }
    try {
      return JSON.parse(text) as T;
    } catch (e) {
      throw new AppError("SERVICE_UNAVAILABLE", `${url}${path} answers what is not JSON. ${WHERE}`, {}, e);
    }
  };
  return {
    url,
    partitions: () => ask("GET", "/partitions"),
    rows: (partition, after) =>
      ask("GET", `/partitions/${partition}/orders?${new URLSearchParams({ after, limit: String(page_rows) }).toString()}`),
    rebuild: async (partition) => void (await ask("POST", `/partitions/${partition}/rebuild`)),
  };
}

function detailOf(text: string): string {
  try {
    return (JSON.parse(text) as { detail?: string }).detail ?? text;
  } catch {
    return text.slice(0, 200);
  }
}
