import type { LogPosition } from "../../../log/log-position.ts";
import type { Change } from "../../../orders/events/kinds.ts";
import type { Cart } from "../../../orders/order.ts";
import type { RequestSpan } from "../../../telemetry/tracer.ts";

/** A request for made-up items. The customer and the currency are made up as well unless the client names them. */
export interface DemoCart extends Partial<Omit<Cart, "items">> {
  readonly demoItems: number;
}

export interface CreateOrder {
  /** Normalised: `ORD-<digits>`. */
  readonly orderId: string;
  readonly cart: Cart | DemoCart;
}

/** What comes with a request besides its body. */
export interface RequestContext {
  /** The client's key, unquoted, and a digest of its request: method, path and normalised body. */
  readonly idempotency?: { readonly key: string; readonly fingerprint: string };
  /** The W3C trace context as received, already checked. Without one, a new trace begins. */
  readonly traceparent?: string;
  /** The `tracestate` header that came with `traceparent`. */
  readonly tracestate?: string;
  /** The request's own span, used instead of `traceparent` if this process records traces. */
  readonly span?: RequestSpan;
  /** How long the answer is waited for, if that is less than `append_wait_ms_max`. */
  readonly wait_ms_max?: number;
}

/**
 * The cart service's commands: the create, and any change. They resolve with the position where the event was appended,
 * which is answered as `Log-Position`. They reject with an `AppError` of the catalogue and never hang:
 * `append_wait_ms_max` bounds each of them.
 */
export interface CartCommands {
  create(command: CreateOrder, context: RequestContext): Promise<LogPosition>;
  /** Appends the event of a change of any kind to the partition where the order was created. */
  change(orderId: string, change: Change, context: RequestContext): Promise<LogPosition>;
}
