import type { Clock } from "../clock.ts";
import { AppError } from "../errors.ts";
import type { Appender } from "../log/appender.ts";
import type { NewRecord } from "../log/log.ts";
import { demoCart } from "../orders/demo-cart.ts";
import { cloudEventHeaders, encodeEvent, type OrderEvent } from "../orders/event.ts";
import { sumOfLines } from "../orders/money.ts";
import type { Order } from "../orders/order.ts";
import type { NewUuid, Random } from "../random.ts";
import type { SendingSpan } from "../telemetry/tracer.ts";
import type { CartCommands, CreateOrder, Position, RequestContext, UpdateStatus } from "./commands.ts";
import { eventIdOfKey, FINGERPRINT_HEADER, type IndexedOrder } from "./index-projection.ts";
import type { OrderIndex } from "./order-index.ts";
import type { OwnCreates } from "./own-creates.ts";
import type { Placement } from "./placement.ts";

export interface CartCommandsOptions {
  readonly index: OrderIndex;
  readonly ownCreates: OwnCreates;
  readonly appender: Appender;
  readonly placement: Placement;
  readonly append_wait_ms_max: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly newUuid: NewUuid;
}

const SOURCE = "/cart-service";

/**
 * The commands on log and index. A create appends first and asks afterwards whether its event is the order's first: the log
 * arbitrates between any number of carts (invariant 8).
 *
 * ```
 *  create ─▶ known? 409 ─▶ place ─▶ append ─▶ first create up to its own offset? ─▶ its own event: 200, another's: 409
 *  update ─▶ known? ─no─▶ index at the log's end ─▶ known? ─no─▶ 404
 *              └──yes─────────────────────────────────┴──yes─▶ append where the order was created ─▶ 200
 * ```
 */
export class LogCartCommands implements CartCommands {
  readonly #keysInUse = new Set<string>();
  #timestamp_ms = Number.NaN;
  #timestampText = "";

  constructor(private readonly options: CartCommandsOptions) {}

  create(command: CreateOrder, context: RequestContext): Promise<Position> {
    const { index, placement } = this.options;
    const { orderId } = command;
    const answerEarlier = (_: Position, eventId: string) => firstOr409(orderId, eventId, index.find(orderId));
    return this.#once(context, answerEarlier, async (eventId, deadline_ms) => {
      if (!index.isOpened) await index.caughtUp(deadline_ms);
      let existing = index.find(orderId);
      if (existing) return firstOr409(orderId, eventId, existing);
      let partition = placement.place(orderId);
      if (partition === undefined) {
        partition = await placement.placeInTime(orderId, deadline_ms);
        existing = index.find(orderId);
        if (existing) return firstOr409(orderId, eventId, existing);
      }
      return this.#appendCreate(partition, this.#created(command, eventId), context, deadline_ms);
    });
  }

  async #appendCreate(partition: number, event: OrderEvent, context: RequestContext, deadline_ms: number): Promise<Position> {
    const { index, ownCreates } = this.options;
    const { orderId, eventId } = event;
    const send = context.span?.sending({ partition, key: orderId, eventId });
    const record = this.#record(partition, event, context, send);
    const own = ownCreates.begin(orderId, eventId, record.value.length);
    try {
      const position = { partition, offset: await this.#append(record, send, deadline_ms) };
      const first = index.firstKnown(own, position) ?? (await index.firstRead(orderId, position, deadline_ms));
      if (first) return firstOr409(orderId, eventId, first);
    } finally {
      if (own) ownCreates.end(own);
    }
    throw new AppError(
      "APPEND_OUTCOME_UNKNOWN",
      `The create of ${orderId} was appended, but whether it is the first could not be read in time. Try again with the same Idempotency-Key; without one, look before you retry.`,
    );
  }

  updateStatus(command: UpdateStatus, context: RequestContext): Promise<Position> {
    const { index } = this.options;
    const { orderId, status } = command;
    const answerEarlier = ({ partition, offset }: Position) => ({ partition, offset });
    return this.#once(context, answerEarlier, async (eventId, deadline_ms) => {
      let order = index.find(orderId);
      if (!order) {
        await index.caughtUp(deadline_ms);
        order = index.find(orderId);
      }
      if (!order) throw new AppError("ORDER_NOT_FOUND", `There is no order ${orderId}; create it first.`, { orderId });
      const event: OrderEvent = { type: "ORDER_STATUS_UPDATED", eventId, timestamp: this.#timestamp(), orderId, status };
      const { partition } = order;
      const send = context.span?.sending({ partition, key: orderId, eventId });
      const record = this.#record(partition, event, context, send);
      const position = { partition, offset: await this.#append(record, send, deadline_ms) };
      index.noteOwn(position);
      return position;
    });
  }

  /**
   * Runs `work` under an event id: a new one, or the one its idempotency key always gives. What was appended for the key before,
   * by whichever cart, is answered again in place of `work` (draft-ietf-httpapi-idempotency-key-header-07).
   */
  #once(
    { idempotency }: RequestContext,
    answerEarlier: (position: Position, eventId: string) => Position,
    work: (eventId: string, deadline_ms: number) => Promise<Position>,
  ): Promise<Position> {
    const { clock, newUuid, append_wait_ms_max } = this.options;
    const deadline_ms = clock.now_ms() + append_wait_ms_max;
    return idempotency ? this.#onceForKey(idempotency, deadline_ms, answerEarlier, work) : work(newUuid(), deadline_ms);
  }

  async #onceForKey(
    { key, fingerprint }: NonNullable<RequestContext["idempotency"]>,
    deadline_ms: number,
    answerEarlier: (position: Position, eventId: string) => Position,
    work: (eventId: string, deadline_ms: number) => Promise<Position>,
  ): Promise<Position> {
    const { index } = this.options;
    if (this.#keysInUse.has(key)) {
      throw new AppError(
        "IDEMPOTENCY_KEY_IN_USE",
        "Another request with this Idempotency-Key is being processed; wait for its answer, then try again.",
      );
    }
    this.#keysInUse.add(key);
    try {
      const eventId = eventIdOfKey(key);
      await index.hasRead(deadline_ms);
      const earlier = index.findKeyed(eventId);
      if (!earlier) return await work(eventId, deadline_ms);
      if (earlier.fingerprint !== fingerprint) {
        throw new AppError(
          "IDEMPOTENCY_KEY_REUSED",
          "This Idempotency-Key was used for another request; take a new key for a new request.",
        );
      }
      return answerEarlier(earlier, eventId);
    } finally {
      this.#keysInUse.delete(key);
    }
  }

  #append(record: NewRecord, send: SendingSpan | undefined, deadline_ms: number): Promise<number> {
    const appended = this.options.appender.append(record, deadline_ms);
    if (send) appended.then(send.sent, send.failed);
    return appended;
  }

  #record(
    partition: number,
    event: OrderEvent,
    context: RequestContext,
    send: SendingSpan | undefined,
  ): NewRecord & { readonly value: string } {
    const { clock, newUuid } = this.options;
    const traceparent = send?.traceparent ?? context.traceparent ?? newTraceparent(newUuid, event.eventId);
    const headers: [string, string][] = cloudEventHeaders(event, SOURCE, traceparent);
    const tracestate = send ? send.tracestate : context.tracestate;
    if (tracestate) headers.push(["tracestate", tracestate]);
    if (context.idempotency) headers.push([FINGERPRINT_HEADER, context.idempotency.fingerprint]);
    return { partition, key: event.orderId, value: encodeEvent(event), headers, timestamp_ms: clock.wall_ms() };
  }

  #created({ orderId, cart }: CreateOrder, eventId: string): OrderEvent {
    const { random } = this.options;
    const demo = "demoItems" in cart ? { ...demoCart(cart.demoItems, random), ...cart } : cart;
    const timestamp = this.#timestamp();
    const order: Order = {
      orderId,
      customerId: demo.customerId ?? demoCart(1, random).customerId,
      orderDate: timestamp,
      items: demo.items,
      total_hundredths: totalOf(demo.items),
      currency: demo.currency,
      status: "new",
    };
    return { type: "ORDER_CREATED", eventId, timestamp, orderId, order };
  }

  /** Made once a millisecond, in which there are many creates. */
  #timestamp(): string {
    const wall_ms = this.options.clock.wall_ms();
    if (wall_ms !== this.#timestamp_ms) {
      this.#timestamp_ms = wall_ms;
      this.#timestampText = new Date(wall_ms).toISOString();
    }
    return this.#timestampText;
  }
}

function totalOf(items: Order["items"]): number {
  const total = sumOfLines(items);
  if (total === undefined) throw new AppError("INVALID_FIELD", "The cart's total is too large.");
  return total;
}

function firstOr409(orderId: string, eventId: string, first: IndexedOrder | undefined): Position {
  if (first?.eventId !== eventId) throw orderExists(orderId);
  return { partition: first.partition, offset: first.offset };
}

const orderExists = (orderId: string) => new AppError("ORDER_EXISTS", `The order ${orderId} exists already.`, { orderId });

/** W3C trace context: a new trace, not sampled. The event is its first span, so the event's id gives the span's. */
const newTraceparent = (newUuid: NewUuid, eventId: string): string => `00-${hex(newUuid())}-${hex(eventId).slice(0, 16)}-00`;

/** A UUID's 32 digits; half as long as replacing its hyphens takes. */
const hex = (uuid: string): string =>
  uuid.slice(0, 8) + uuid.slice(9, 13) + uuid.slice(14, 18) + uuid.slice(19, 23) + uuid.slice(24);
