import type { LogPosition } from "../../../log/log-position.ts";
import type { Change } from "../../../orders/events/kinds.ts";
import type { Cart } from "../../../orders/order.ts";
import type { RequestSpan } from "../../../telemetry/tracer.ts";

/** How many made-up items the cart is to have; customer and currency are made up too where the client does not name them. */
export interface DemoCart extends Partial<Omit<Cart, "items">> {
  readonly demoItems: number;
}

export interface CreateOrder {
  /** Normalised: `ORD-<digits>`. */
  readonly orderId: string;
  readonly cart: Cart | DemoCart;
}

/** What a request brings beside its body. */
export interface RequestContext {
  /** The client's key (unquoted) and a digest of what it asked: method, path and normalised body. */
  readonly idempotency?: { readonly key: string; readonly fingerprint: string };
  /** W3C trace context as received, already checked; a new trace begins without it. */
  readonly traceparent?: string;
  /** What came beside it. */
  readonly tracestate?: string;
  /** In place of it where this process makes traces. */
  readonly span?: RequestSpan;
}

/**
 * The cart service's two commands. They resolve with where the event was appended, which is answered as `Log-Position`. They
 * reject with an `AppError` of the catalogue and never hang: `append_wait_ms_max` bounds each.
 */
export interface CartCommands {
  create(command: CreateOrder, context: RequestContext): Promise<LogPosition>;
  /** Publishes the event of this change, of whichever kind, where the order was created. */
  change(orderId: string, change: Change, context: RequestContext): Promise<LogPosition>;
}
