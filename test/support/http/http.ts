/** An answer of one of the four routes as a client sees it. No status throws; the test looks at `status`. */
export interface Answer<Body> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Body;
}

/** A problem of RFC 9457. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
}

export interface Accepted {
  readonly message: string;
  readonly orderId: string;
}

export interface OrderDetails {
  readonly order: {
    readonly orderId: string;
    readonly customerId: string;
    readonly orderDate: string;
    readonly items: readonly { readonly itemId: string; readonly quantity: number; readonly price: number }[];
    readonly totalAmount: number;
    readonly currency: string;
    readonly status: string;
  };
  readonly shippingCost: number;
}

export interface OrderIds {
  readonly topicName: string;
  readonly orderIds: readonly string[];
}

/** Either the body of a success or that of a problem; `status` says which. */
type Either<Success> = Partial<Success> & Partial<Problem>;

type RequestHeaders = Readonly<Record<string, string>>;

/** A string is sent as it is, anything else as JSON. */
export function createOrder(cartUrl: string, body: unknown, headers: RequestHeaders = {}): Promise<Answer<Either<Accepted>>> {
  return send("POST", `${cartUrl}/create-order`, headers, body);
}

export function updateOrder(cartUrl: string, body: unknown, headers: RequestHeaders = {}): Promise<Answer<Either<Accepted>>> {
  return send("PUT", `${cartUrl}/update-order`, headers, body);
}

export function orderDetails(
  orderUrl: string,
  orderId: string,
  headers: RequestHeaders = {},
): Promise<Answer<Either<OrderDetails>>> {
  return send("GET", `${orderUrl}/order-details?${new URLSearchParams({ orderId }).toString()}`, headers);
}

export function orderIds(orderUrl: string, topicName: string, headers: RequestHeaders = {}): Promise<Answer<Either<OrderIds>>> {
  return send("GET", `${orderUrl}/getAllOrderIdsFromTopic?${new URLSearchParams({ topicName }).toString()}`, headers);
}

const answer_ms_max = 30_000;

async function send<Body>(method: string, url: string, headers: RequestHeaders, body?: unknown): Promise<Answer<Body>> {
  const response = await fetch(url, {
    method,
    headers: { ...(body !== undefined && { "content-type": "application/json" }), ...headers },
    ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
    signal: AbortSignal.timeout(answer_ms_max),
  });
  const text = await response.text();
  try {
    return { status: response.status, headers: response.headers, body: JSON.parse(text) as Body };
  } catch {
    throw new Error(`${method} ${url} answered ${response.status} with what is not JSON: ${text.slice(0, 500)}`);
  }
}
